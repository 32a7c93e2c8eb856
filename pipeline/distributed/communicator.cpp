#include "pipeline/distributed/communicator.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "pipeline/distributed/given_up_tag.hpp"
#include "pipeline/distributed/pause.hpp"

namespace cmc::distributed {
namespace {

enum Tag : int { partial_sum = 16, final_sum, broadcast_chunk, barrier_round, gathered, exchanged, summed_slice };

constexpr size_t floats_per_chunk = 64 * 1024;  // 256 KiB: long enough for bandwidth, short enough to pipeline
constexpr size_t bytes_per_chunk = 1024 * 1024;
constexpr size_t longest_single_hop = 64 * 1024;  // bytes of a row that is summed by everyone

std::span<float> floats(Bytes& bytes) {
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

Bytes copy_bytes(std::span<const std::byte> bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

// Adds the shares' chunk at `first` to `partial` in share order; the very first share starts the sum.
void add_shares(std::span<const std::span<const float>> shares, size_t first, size_t count, Bytes& partial) {
  for (const std::span<const float> share : shares) {
    const float* add = share.data() + first;
    if (partial.empty()) {
      partial = copy_bytes(std::as_bytes(share.subspan(first, count)));
      continue;
    }
    float* sum = floats(partial).data();
    for (size_t i = 0; i < count; ++i) sum[i] += add[i];
  }
}

// Throws when the group's owner asks to give it up, or a member has.
void check_abandoned(Transport& transport, const std::stop_token& asked) {
  if (asked.stop_requested() || transport.receive(any_rank, given_up_tag)) throw GroupAbandoned();
}

void copy_chunk(const Bytes& from, std::span<float> sum, size_t first) {
  std::memcpy(sum.data() + first, from.data(), from.size());
}

}  // namespace

Bytes Communicator::await(int from, int tag) const {
  for (Pause pause(awake_);; pause()) {
    if (auto message = transport_->receive(from, tag)) return std::move(message->bytes);
    check_abandoned(*transport_, abandoned_);
  }
}

void Communicator::await_sent(size_t at_most) const {
  for (Pause pause(awake_); transport_->unsent() > at_most; pause()) check_abandoned(*transport_, abandoned_);
}

void Communicator::ordered_sum(std::span<const std::span<const float>> mine, std::span<float> sum) const {
  for (const auto& share : mine) expect(share.size() == sum.size(), "ordered_sum: shares are as long as the sum");
  expect(rank() > 0 || !mine.empty(), "ordered_sum: rank 0 has the first share");
  const int last = size() - 1;
  const size_t chunks = (sum.size() + floats_per_chunk - 1) / floats_per_chunk;
  const auto first = [&](size_t chunk) { return chunk * floats_per_chunk; };
  const auto count = [&](size_t chunk) { return std::min(floats_per_chunk, sum.size() - first(chunk)); };
  // Partial sums run 0 → last, sums run last → 0 → … → last - 1. A sum comes back `size` chunks after its partial sum
  // was passed on; so many messages may be under way, and a longer window keeps neighbours from waiting on each other.
  const size_t lag = static_cast<size_t>(last), window = size() + 8;
  for (size_t step = 0; step < chunks + lag; ++step) {
    if (step < chunks) {
      Bytes partial = rank() > 0 ? await(rank() - 1, partial_sum) : Bytes();
      add_shares(mine, first(step), count(step), partial);
      if (rank() < last) {
        transport_->send(rank() + 1, partial_sum, std::move(partial));
      } else {
        copy_chunk(partial, sum, first(step));
        if (last > 0) transport_->send(0, final_sum, std::move(partial));
      }
    }
    if (rank() < last && step >= lag) {
      Bytes chunk = await(rank() == 0 ? last : rank() - 1, final_sum);
      copy_chunk(chunk, sum, first(step - lag));
      if (rank() + 1 < last) transport_->send(rank() + 1, final_sum, std::move(chunk));
    }
    if (transport_) await_sent(window);
  }
  if (transport_) await_sent(0);
}

Communicator Communicator::awake(std::chrono::microseconds yielding) const {
  Communicator result = *this;
  result.awake_ = yielding;
  return result;
}

std::vector<Bytes> Communicator::exchange(std::span<const std::byte> mine) const {
  std::vector<Bytes> all(size());
  for (int step = 1; step < size(); ++step) transport_->send((rank() + step) % size(), exchanged, copy_bytes(mine));
  all[rank()] = copy_bytes(mine);
  for (int step = 1; step < size(); ++step) {
    const int from = (rank() - step + size()) % size();
    all[from] = await(from, exchanged);
  }
  if (transport_) await_sent(0);
  return all;
}

void Communicator::sum(std::span<float> numbers) const {
  if (size() == 1) return;
  // Long rows: each rank adds up the slice that is its own, so that no number is sent to all, and none added twice.
  const bool in_slices = numbers.size_bytes() > longest_single_hop;
  const auto slice = [&](int of) {
    if (!in_slices) return numbers;
    const size_t first = numbers.size() * of / size(), last = numbers.size() * (of + 1) / size();
    return numbers.subspan(first, last - first);
  };
  for (int step = 1; step < size(); ++step) {
    const int to = (rank() + step) % size();
    transport_->send(to, summed_slice, copy_bytes(std::as_bytes(slice(to))));
  }
  Bytes total;
  const std::span<float> own = slice(rank());
  for (int from = 0; from < size(); ++from) {
    const Bytes other = from == rank() ? Bytes() : await(from, summed_slice);
    const auto* numbers_of = from == rank() ? own.data() : reinterpret_cast<const float*>(other.data());
    expect(from == rank() || other.size() == own.size_bytes(), "sum: every rank gives a row of one length");
    const std::span<const float> share(numbers_of, own.size());
    add_shares({&share, 1}, 0, own.size(), total);
  }
  copy_chunk(total, own, 0);
  if (!in_slices) return await_sent(0);
  const std::vector<Bytes> slices = exchange(std::as_bytes(own));
  for (int from = 0; from < size(); ++from) copy_chunk(slices[from], slice(from), 0);
}

// Binomial tree rooted at `root`, one chunk after the other.
void Communicator::broadcast(std::span<std::byte> bytes, int root) const {
  if (size() == 1) return;
  const int from_root = (rank() - root + size()) % size();
  const auto real = [&](int relative) { return (relative + root) % size(); };
  int reach = 1;
  while (reach < size() && !(from_root & reach)) reach <<= 1;
  for (size_t first = 0; first < bytes.size(); first += bytes_per_chunk) {
    const auto chunk = bytes.subspan(first, std::min(bytes_per_chunk, bytes.size() - first));
    if (from_root > 0) {
      const Bytes received = await(real(from_root - reach), broadcast_chunk);
      expect(received.size() == chunk.size(), "broadcast: every rank gives the root's length");
      std::copy(received.begin(), received.end(), chunk.begin());
    }
    for (int step = reach >> 1; step > 0; step >>= 1)
      if (from_root + step < size()) transport_->send(real(from_root + step), broadcast_chunk, copy_bytes(chunk));
    await_sent(16);
  }
  await_sent(0);
}

// Dissemination (Hensgen, Finkel, Manber 1988): ceil(log2 size) rounds.
void Communicator::barrier() const {
  for (int step = 1; step < size(); step <<= 1) {
    transport_->send((rank() + step) % size(), barrier_round, Bytes(1));
    await((rank() - step + size()) % size(), barrier_round);
  }
  if (transport_) await_sent(0);
}

std::vector<std::string> Communicator::all_gather(std::string_view mine) const {
  std::vector<std::string> all(size());
  all[rank()] = mine;
  if (size() == 1) return all;
  if (rank() > 0) transport_->send(0, gathered, copy_bytes(std::as_bytes(std::span(mine))));
  for (int from = 1; rank() == 0 && from < size(); ++from) {
    const Bytes bytes = await(from, gathered);
    all[from].assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::vector<uint64_t> lengths;
  for (const std::string& one : all) lengths.push_back(one.size());
  broadcast(std::as_writable_bytes(std::span(lengths)), 0);
  std::string joined;
  for (int i = 0; i < size(); ++i) all[i].resize(lengths[i]), joined += all[i];
  broadcast(std::as_writable_bytes(std::span(joined)), 0);
  size_t at = 0;
  for (std::string& one : all) one = joined.substr(at, one.size()), at += one.size();
  return all;
}

bool Communicator::any(bool mine) const {
  const auto all = all_gather(mine ? "1" : "0");
  return std::ranges::find(all, "1") != all.end();
}

Communicator Communicator::group(std::span<const int> ranks, int id, std::stop_token abandoned) const {
  if (ranks.size() <= 1) return {};
  expect(transport_ != nullptr, "group: the null communicator has one rank");
  return Communicator(transport_->group(ranks, id), abandoned.stop_possible() ? std::move(abandoned) : abandoned_);
}

void Communicator::close() const {
  if (!transport_) return;
  barrier();
  transport_->close();
}

ShareRange shares_of(int rank, int size, int shares) {
  // The first share s with s * size / shares >= rank is ceil(rank * shares / size).
  const auto first = [&](int64_t r) { return static_cast<int>((r * shares + size - 1) / size); };
  return {first(rank), first(rank + 1)};
}

}  // namespace cmc::distributed
