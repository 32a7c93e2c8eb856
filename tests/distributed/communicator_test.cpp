#include "pipeline/distributed/communicator.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "pipeline/core/random.hpp"
#include "pipeline/distributed/give_up.hpp"
#include "pipeline/distributed/thread_transport.hpp"

namespace cmc::distributed {
namespace {

// `work(communicator)` on `size` ranks at once.
template <class Work>
void on_ranks(int size, Work work) {
  auto ranks = thread_ranks(size);
  std::vector<std::jthread> threads;
  for (const Communicator& rank : ranks) threads.emplace_back([&] { work(rank); });
}

std::vector<std::vector<float>> random_shares(int shares, size_t length) {
  Random random(shares * 1000 + length);
  std::vector<std::vector<float>> all(shares, std::vector<float>(length));
  for (auto& share : all)
    for (float& x : share) x = static_cast<float>((random.uniform() - 0.5) * std::pow(10.0, random.below(12)));
  return all;
}

// Share after share, in float: what every number of ranks must give to the last bit.
std::vector<float> naive_sum(const std::vector<std::vector<float>>& shares) {
  std::vector<float> sum = shares[0];
  for (size_t s = 1; s < shares.size(); ++s)
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += shares[s][i];
  return sum;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

std::vector<float> sum_on(const Communicator& group, const std::vector<std::vector<float>>& shares) {
  const auto [first, last] = shares_of(group.rank(), group.size(), static_cast<int>(shares.size()));
  std::vector<std::span<const float>> mine(shares.begin() + first, shares.begin() + last);
  std::vector<float> sum(shares[0].size(), -1);
  group.ordered_sum(mine, sum);
  return sum;
}

TEST(SharesOf, ContiguousBlocksThatFollowTheRule) {
  for (int size = 1; size <= 9; ++size)
    for (int shares = 1; shares <= 20; ++shares) {
      int next = 0;
      for (int rank = 0; rank < size; ++rank) {
        const auto [first, last] = shares_of(rank, size, shares);
        EXPECT_EQ(first, next);
        for (int share = first; share < last; ++share) EXPECT_EQ(share * size / shares, rank);
        next = last;
      }
      EXPECT_EQ(next, shares);
    }
}

TEST(OrderedSum, SameBitsOnAnyNumberOfRanks) {
  for (const size_t length : {size_t{0}, size_t{1}, size_t{1000}, size_t{65536}, size_t{65536 * 3 + 17}})
    for (const int shares : {1, 4, 7}) {
      const auto all = random_shares(shares, length);
      const auto expected = naive_sum(all);
      for (const int size : {1, 2, 3, 4, 6})
        on_ranks(size, [&](const Communicator& group) {
          EXPECT_TRUE(same_bits(sum_on(group, all), expected)) << length << " " << shares << " " << size;
        });
    }
  EXPECT_TRUE(same_bits(sum_on({}, random_shares(5, 300)), naive_sum(random_shares(5, 300))));
}

TEST(OrderedSum, KeepsNegativeZeroAndMayOverwriteAShare) {
  std::vector<float> share = {-0.0f, 2.0f};
  const std::span<const float> mine = share;
  Communicator().ordered_sum(std::span(&mine, 1), share);
  EXPECT_TRUE(std::signbit(share[0]));
  EXPECT_EQ(share[1], 2.0f);
}

TEST(OrderedSum, RefusesSharesOfAnotherLength) {
  std::vector<float> sum(3);
  const std::vector<float> share(2);
  const std::span<const float> mine = share;
  EXPECT_THROW(Communicator().ordered_sum(std::span(&mine, 1), sum), Internal);
  EXPECT_THROW(Communicator().ordered_sum({}, sum), Internal);
}

TEST(Broadcast, EveryRankGetsTheRootsBytes) {
  for (const int size : {1, 2, 3, 5, 8})
    for (int root = 0; root < size; ++root)
      on_ranks(size, [&](const Communicator& group) {
        std::string text(2'500'000, group.rank() == root ? 'r' : '-');
        if (group.rank() == root) text.back() = 'e';
        group.broadcast(std::as_writable_bytes(std::span(text)), root);
        EXPECT_EQ(text[0], 'r');
        EXPECT_EQ(text[1'048'576], 'r');
        EXPECT_EQ(text.back(), 'e');
      });
}

TEST(AllGather, StringsOfAnyLengthByRank) {
  for (const int size : {1, 2, 5})
    on_ranks(size, [&](const Communicator& group) {
      const auto mine = [](int rank) { return std::string(rank * 3, static_cast<char>('a' + rank)) + '\0'; };
      for (int repeat = 0; repeat < 3; ++repeat) {
        const auto all = group.all_gather(mine(group.rank()));
        ASSERT_EQ(static_cast<int>(all.size()), size);
        for (int rank = 0; rank < size; ++rank) EXPECT_EQ(all[rank], mine(rank));
      }
    });
}

TEST(Any, IsTrueWhereOneIs) {
  for (const int size : {1, 2, 5})
    on_ranks(size, [&](const Communicator& group) {
      EXPECT_FALSE(group.any(false));
      EXPECT_TRUE(group.any(group.rank() == size - 1));
    });
}

TEST(Barrier, NobodyLeavesBeforeTheLastHasCome) {
  for (const int size : {1, 2, 3, 6}) {
    std::atomic<int> come = 0;
    on_ranks(size, [&](const Communicator& group) {
      for (int round = 1; round <= 5; ++round) {
        ++come;
        group.barrier();
        EXPECT_GE(come.load(), round * size);
        group.barrier();
      }
    });
  }
}

TEST(Group, RanksAreNumberedInTheGivenOrder) {
  on_ranks(5, [&](const Communicator& world) {
    const std::vector<int> odd = {3, 1}, even = {0, 2, 4};
    const bool is_odd = world.rank() % 2 == 1;
    const Communicator group = world.group(is_odd ? odd : even, is_odd ? 1 : 2);
    const auto members = group.all_gather(std::to_string(world.rank()));
    EXPECT_EQ(members, is_odd ? (std::vector<std::string>{"3", "1"}) : (std::vector<std::string>{"0", "2", "4"}));
  });
  EXPECT_EQ(Communicator().group(std::vector<int>{0}, 1).size(), 1);
}

TEST(Group, AnAbandonedCollectiveThrows) {
  auto ranks = thread_ranks(2);
  std::stop_source abandoned;
  std::jthread waiting([&] {
    const Communicator group = ranks[0].group(std::vector<int>{0, 1}, 1, abandoned.get_token());
    EXPECT_THROW(group.barrier(), GroupAbandoned);
  });
  ranks[1].group(std::vector<int>{0, 1}, 1);
  abandoned.request_stop();
}

TEST(Sum, AddsInRankOrderWithTheSameBitsOnEveryRank) {
  for (const int size : {1, 2, 3, 5})
    for (const size_t length : {1, 3, 1000, 70000}) {  // one hop, and slices of uneven length
      const auto rows = random_shares(size, length);
      const auto expected = naive_sum(rows);
      std::atomic<int> same = 0;
      on_ranks(size, [&](const Communicator& group) {
        for (int repeat = 0; repeat < 3; ++repeat) {
          auto mine = rows[group.rank()];
          group.awake(std::chrono::milliseconds(1)).sum(mine);
          same += same_bits(mine, expected);
        }
      });
      EXPECT_EQ(same, 3 * size) << size << " ranks, " << length << " numbers";
    }
}

TEST(Sum, RowsOfDifferentLengthAreAnError) {
  std::atomic<int> errors = 0;
  on_ranks(2, [&](const Communicator& group) {
    std::vector<float> mine(3 + group.rank());
    try {
      group.sum(mine);
    } catch (const Internal&) {
      ++errors;
    }
  });
  EXPECT_EQ(errors, 2);
}

TEST(GiveUp, WakesThoseThatWaitAndLeavesOtherGroupsAlone) {
  std::atomic<int> woken = 0, went_on = 0;
  on_ranks(3, [&](const Communicator& ranks) {
    const std::vector<int> all{0, 1, 2};
    const Communicator first = ranks.group(all, 0);
    try {
      if (ranks.rank() == 1) {
        give_up(first);
      } else {
        float number = 1;
        for (int repeat = 0; repeat < 2; ++repeat) first.sum({&number, 1});  // which rank 1 never joins
      }
    } catch (const GroupAbandoned&) {
      ++woken;
    }
    const Communicator second = ranks.group(all, 1);
    float number = static_cast<float>(ranks.rank());
    second.sum({&number, 1});
    went_on += number == 3.0f;
  });
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(went_on, 3);
}

TEST(GiveUp, AGroupOfAGroupIsAbandonedWithIt) {
  auto ranks = thread_ranks(2);
  std::stop_source abandoned;
  std::jthread waiting([&] {
    const Communicator group = ranks[0].group(std::vector<int>{0, 1}, 1, abandoned.get_token());
    EXPECT_THROW(group.group(std::vector<int>{0, 1}, 1).barrier(), GroupAbandoned);
  });
  const Communicator group = ranks[1].group(std::vector<int>{0, 1}, 1);
  const Communicator inner = group.group(std::vector<int>{0, 1}, 1);
  abandoned.request_stop();
  waiting.join();
}

TEST(Exchange, BytesOfEveryRankInRankOrder) {
  on_ranks(4, [&](const Communicator& group) {
    const Bytes mine(static_cast<size_t>(group.rank()), std::byte(group.rank()));  // rank 0: none
    const auto all = group.exchange(mine);
    ASSERT_EQ(all.size(), 4u);
    for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(all[rank], Bytes(static_cast<size_t>(rank), std::byte(rank)));
  });
}

}  // namespace
}  // namespace cmc::distributed
