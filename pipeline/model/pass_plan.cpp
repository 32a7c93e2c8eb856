#include "pipeline/model/pass_plan.hpp"

#include <ATen/record_function.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>

#include "pipeline/core/error.hpp"

namespace cmc::model {

namespace {

constexpr size_t index_of(Column column) {
  return static_cast<size_t>(column);
}

std::vector<Placement> place(const PassInput& input, const KvCache* cache) {
  std::vector<Placement> spans;
  std::vector<bool> taken(cache != nullptr ? static_cast<size_t>(cache->slots()) : 0, false);
  int64_t first = 0;
  for (const Span& span : input.spans) {
    expect(span.tokens > 0, "a span has at least one token");
    Placement placement{span.slot, first, span.tokens, 0};
    if (cache != nullptr && span.slot == cache->spare_slot()) {
      expect(span.tokens == 1, "the spare slot takes one token");
    } else if (cache != nullptr) {
      expect(span.slot >= 0 && span.slot < cache->slots(), "cache slot inside the cache");
      expect(!taken[static_cast<size_t>(span.slot)], "each slot is in a batch at most once");
      taken[static_cast<size_t>(span.slot)] = true;
      placement.past = cache->length(span.slot);
      expect(placement.past + span.tokens <= cache->capacity(), "a slot never exceeds the cache's capacity");
    }
    spans.push_back(placement);
    first += span.tokens;
  }
  expect(first > 0 && std::ssize(input.tokens) == first, "token counts of the spans sum to the number of tokens");
  expect(input.positions.empty() || input.positions.size() == input.tokens.size(), "one position a token");
  return spans;
}

PassShape shape_of(const PassInput& input, const std::vector<Placement>& spans, const KvCache* cache) {
  PassShape shape;
  shape.tokens = std::ssize(input.tokens);
  shape.spans = std::ssize(spans);
  shape.wanted = input.wanted.empty() ? shape.tokens : std::ssize(input.wanted);
  shape.whole_cache = cache != nullptr && shape.spans == cache->slots() && shape.tokens == shape.spans;
  for (const Placement& span : spans) {
    shape.longest_span = std::max(shape.longest_span, span.tokens);
    shape.longest_key = std::max(shape.longest_key, span.past + span.tokens);
    shape.whole_cache = shape.whole_cache && span.slot == span.first;
  }
  shape.feeds_back = std::ranges::find(input.tokens, chosen_token) != input.tokens.end();
  int32_t row = 0;
  shape.selects = shape.wanted != shape.tokens ||
                  !std::ranges::all_of(input.wanted, [&](int32_t wanted) { return wanted == row++; });
  expect(std::ranges::all_of(input.wanted, [&](int32_t wanted) { return wanted >= 0 && wanted < shape.tokens; }),
         "states are wanted of packed rows");
  return shape;
}

}  // namespace

std::array<int64_t, column_count> PassShape::sizes() const {
  return {tokens, tokens, tokens, tokens, spans + 1, spans + 1, spans, wanted};
}

int64_t PassShape::numbers() const {
  const auto all = sizes();
  return std::accumulate(all.begin(), all.end(), int64_t{0});
}

std::span<const int32_t> PassPlan::column(Column column) const {
  const auto sizes = shape.sizes();
  const auto first =
      std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(index_of(column)), int64_t{0});
  return {numbers.data() + first, static_cast<size_t>(sizes[index_of(column)])};
}

void check_token(int64_t token, int64_t vocabulary) {
  if (token >= 0 && token < vocabulary) return;
  throw BadData({"token " + std::to_string(token), "is outside the model's vocabulary of " + std::to_string(vocabulary),
                 "the tokenizer belongs to another model"});
}

PassPlan plan_pass(const PassInput& input, const KvCache* cache, int64_t vocabulary) {
  PassPlan plan;
  plan.spans = place(input, cache);
  for (const int32_t token : input.tokens) {
    if (token != chosen_token || cache == nullptr) check_token(token, vocabulary);
  }
  plan.shape = shape_of(input, plan.spans, cache);
  std::array<std::vector<int32_t>, column_count> columns;
  std::vector<int32_t> positions;
  const auto of = [&](Column column) -> std::vector<int32_t>& { return columns[index_of(column)]; };
  for (const Placement& span : plan.spans) {
    for (int64_t token = 0; token < span.tokens; ++token) {
      of(Column::slots).push_back(static_cast<int32_t>(cache != nullptr ? span.slot : 0));
      of(Column::places).push_back(static_cast<int32_t>(cache != nullptr ? span.past + token : span.first + token));
      positions.push_back(static_cast<int32_t>(span.past + token));
    }
    const int64_t key_start = cache != nullptr ? span.slot * cache->capacity() : span.first;
    of(Column::query_starts).push_back(static_cast<int32_t>(span.first));
    of(Column::key_starts).push_back(static_cast<int32_t>(key_start));
    of(Column::key_lengths).push_back(static_cast<int32_t>(span.past + span.tokens));
  }
  of(Column::tokens) = input.tokens;
  of(Column::positions) = input.positions.empty() ? std::move(positions) : input.positions;
  of(Column::query_starts).push_back(static_cast<int32_t>(plan.shape.tokens));
  // Only starts are read, lengths stand in a column of their own; attention kernels ask for one more start than spans.
  const int64_t end = cache != nullptr ? cache->slots() * cache->capacity() : plan.shape.tokens;
  of(Column::key_starts).push_back(static_cast<int32_t>(end));
  of(Column::wanted) = input.wanted;
  if (input.wanted.empty()) {
    of(Column::wanted).resize(input.tokens.size());
    std::iota(of(Column::wanted).begin(), of(Column::wanted).end(), 0);
  }
  for (const std::vector<int32_t>& column : columns)
    plan.numbers.insert(plan.numbers.end(), column.begin(), column.end());
  return plan;
}

struct PlanBuffers::Slot {
  torch::Tensor pinned;
  std::unique_ptr<c10::Event> copied;
};

PlanBuffers::PlanBuffers(torch::Device device, int64_t numbers) : device_(device) {
  reserve(std::max<int64_t>(1, numbers));
}
PlanBuffers::PlanBuffers(PlanBuffers&&) noexcept = default;
PlanBuffers::~PlanBuffers() = default;

void PlanBuffers::reserve(int64_t numbers) {
  constexpr size_t in_flight = 3;
  const c10::InferenceMode ordinary(false);  // written in any mode
  buffer_ = torch::zeros({numbers}, torch::TensorOptions().dtype(torch::kInt32).device(device_));
  ring_.clear();
  if (device_.is_cpu()) return;  // the buffer itself is written
  const auto pinned = torch::TensorOptions().dtype(torch::kInt32).pinned_memory(true);
  for (size_t i = 0; i < in_flight; ++i) {
    ring_.push_back({torch::empty({numbers}, pinned), std::make_unique<c10::Event>(device_.type())});
  }
}

DevicePlan PlanBuffers::upload(const PassPlan& plan, const torch::Tensor& chosen) {
  return view_of(plan, upload(plan.numbers), chosen);
}

torch::Tensor PlanBuffers::upload(std::span<const int32_t> numbers) {
  RECORD_FUNCTION("cmc::upload", c10::ArrayRef<const c10::IValue>{});
  const auto count = static_cast<int64_t>(numbers.size());
  if (count > buffer_.size(0)) reserve(std::max(count, 2 * buffer_.size(0)));
  const auto write = [&](const torch::Tensor& to) {
    std::memcpy(to.data_ptr<int32_t>(), numbers.data(), numbers.size_bytes());
  };
  if (ring_.empty()) {
    write(buffer_);
  } else {
    Slot& slot = ring_[next_++ % ring_.size()];
    slot.copied->synchronize();  // its last copy was several passes ago: done long since
    write(slot.pinned);
    buffer_.narrow(0, 0, count).copy_(slot.pinned.narrow(0, 0, count), /*non_blocking=*/true);
    slot.copied->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  return buffer_.narrow(0, 0, count);
}

DevicePlan view_of(const PassPlan& plan, const torch::Tensor& numbers, const torch::Tensor& chosen) {
  expect(numbers.size(0) == plan.shape.numbers(), "the numbers of a plan");
  expect(!plan.shape.feeds_back || chosen.defined(), "a token that is fed back is read from somewhere");
  DevicePlan there;
  there.shape = plan.shape;
  there.spans = plan.spans;
  const std::span<const int32_t> positions = plan.column(Column::positions);
  there.host_positions.assign(positions.begin(), positions.end());
  there.chosen = chosen;
  const std::array<torch::Tensor*, column_count> columns = {&there.tokens,      &there.slots,        &there.places,
                                                            &there.positions,   &there.query_starts, &there.key_starts,
                                                            &there.key_lengths, &there.wanted};
  const auto sizes = plan.shape.sizes();
  int64_t first = 0;
  for (size_t i = 0; i < column_count; ++i) {
    *columns[i] = numbers.narrow(0, first, sizes[i]);
    first += sizes[i];
  }
  return there;
}

}  // namespace cmc::model
