#pragma once
#include <torch/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/model/kv_cache.hpp"

namespace cmc::model {

// Consecutive tokens of one sequence.
struct Span {
  int64_t slot = 0;    // row of the cache the sequence lives in (ignored without a cache)
  int64_t tokens = 0;  // how many of the packed tokens belong to it, at least one
};

// In place of a token: the one that the device chose last for the span's slot, which the host need not have read yet.
inline constexpr int32_t chosen_token = -1;

// What a pass reads, on the host.
struct PassInput {
  std::vector<int32_t> tokens;     // [N] packed, ids or chosen_token
  std::vector<Span> spans;         // their token counts sum to N; each slot at most once, but for the spare slot
  std::vector<int32_t> wanted;     // [W] packed rows whose states are wanted, in any order; empty: all, as they lie
  std::vector<int32_t> positions;  // [N] for the rotation; empty: each span goes on where its slot ends
};

// Where a span sits: rows [first, first + tokens) of the packed input, after `past` cached tokens of `slot`.
struct Placement {
  int64_t slot = 0, first = 0, tokens = 0, past = 0;
  bool is_short() const { return tokens <= 16; }  // decoding: worth a batch over the cache
};

// The int32 columns of a pass, in this order in one buffer.
enum class Column { tokens, slots, places, positions, query_starts, key_starts, key_lengths, wanted };
inline constexpr size_t column_count = 8;

// How many numbers each column of a pass has, and bounds of what they say. What a captured pass is launched with is
// fixed by it: plans of equal shape may run the same graph.
struct PassShape {
  int64_t tokens = 0, spans = 0, wanted = 0;
  int64_t longest_span = 0;  // no span has more tokens
  int64_t longest_key = 0;   // no query sees more keys; from a cache at most its capacity
  bool feeds_back = false;   // a token may be chosen_token
  bool selects = false;      // `wanted` is not simply all rows
  bool whole_cache = false;  // one token of every slot, in the order of the slots: the cache is read where it lies
  bool operator==(const PassShape&) const = default;

  std::array<int64_t, column_count> sizes() const;  // by column
  int64_t numbers() const;                          // of all columns together
};

// One pass as the host decided it, checked: everything that the device will need to know.
struct PassPlan {
  PassShape shape;
  std::vector<Placement> spans;
  std::vector<int32_t> numbers;  // the columns one after the other

  std::span<const int32_t> column(Column column) const;
};

// Throws BadData for a token outside the vocabulary.
void check_token(int64_t token, int64_t vocabulary);

// Plans a pass over `cache` (null: spans are independent sequences, their keys the packed ones themselves). Reads
// nothing from a device and changes nothing. Throws BadData for a token outside the vocabulary, Internal for an input
// that breaks its contract.
PassPlan plan_pass(const PassInput& input, const KvCache* cache, int64_t vocabulary);

// A plan where the device reads it: views of one int32 buffer.
struct DevicePlan {
  PassShape shape;
  std::vector<Placement> spans;         // as planned: no kernel may depend on them in a captured pass
  std::vector<int32_t> host_positions;  // [N] likewise
  torch::Tensor tokens, slots;          // [N] int32
  torch::Tensor places;                 // [N] int32: place in the slot at which the token's key is written;
                                        // without a cache the packed row, in slot 0
  torch::Tensor positions;              // [N] int32: what the rotation turns by
  torch::Tensor query_starts;           // [B + 1] int32: first packed row of each span
  torch::Tensor key_starts;             // [B + 1] int32: the row of the cache at which each span's slot begins
  torch::Tensor key_lengths;            // [B] int32: past + tokens of each span
  torch::Tensor wanted;                 // [W] int32
  torch::Tensor chosen;                 // [slots + 1] int32 on the device, by slot; undefined: none is fed back
};

// A plan where `numbers` [shape.numbers()] int32 lie on the device, as a part of something larger maybe. Views.
DevicePlan view_of(const PassPlan& plan, const torch::Tensor& numbers, const torch::Tensor& chosen = {});

// The way of plans to one device: a buffer of fixed address there, filled by one copy that is not waited for, and
// on CUDA a ring of pinned buffers, so that the next plan is written while earlier ones are under way. Uploads belong
// to the device's current stream: a plan is overwritten after the pass that read it.
class PlanBuffers {
 public:
  // `numbers`: room for plans of so many (PassShape::numbers()); a larger plan moves the buffer.
  PlanBuffers(torch::Device device, int64_t numbers);
  PlanBuffers(PlanBuffers&&) noexcept;
  ~PlanBuffers();

  // Plans of equal shape get the same addresses, as long as none was larger than the room.
  DevicePlan upload(const PassPlan& plan, const torch::Tensor& chosen = {});
  // Several plans and whatever goes with them in one copy: the numbers there, [numbers.size()] int32.
  torch::Tensor upload(std::span<const int32_t> numbers);

 private:
  struct Slot;  // a pinned buffer and the event of its last copy
  void reserve(int64_t numbers);
  torch::Device device_;
  torch::Tensor buffer_;
  std::vector<Slot> ring_;
  size_t next_ = 0;
};

}  // namespace cmc::model
