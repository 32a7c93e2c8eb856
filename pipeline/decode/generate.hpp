#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/fusion/logit_source.hpp"
#include "pipeline/text/tokenizer.hpp"

namespace cmc::decode {

struct GenerationRequest {
  fusion::Row row;
  uint64_t seed = 0;  // of its samples; from what is generated, never from its place in the batch
};

struct GenerationSettings {
  int64_t max_new_tokens = 512;
  std::vector<int32_t> end_tokens;        // any of them ends a sequence
  std::vector<std::string> stop_strings;  // e.g. "\n\nComment:"; found across token borders
  fusion::Sampling sampling;              // greedy by default
};

enum class StopReason { end_token, stop_string, length };
std::string_view name_of(StopReason reason);

struct Generated {
  std::vector<BaseToken> tokens;  // new ones, without the end token, nor those that reach into a stop string
  std::string text;               // special tokens skipped; ends before a stop string
  StopReason reason = StopReason::length;
  std::vector<int32_t> plain_ids() const;  // of the tokens
};

struct GenerationProgress {
  int64_t finished = 0, total = 0;  // sequences
  int64_t tokens = 0;               // chosen so far, end tokens included, those after an end not
};

// Called after each step (rarely enough to print, often enough to stop: what it throws ends the generation).
using ReportGeneration = std::function<void(const GenerationProgress&)>;

// Continues every request, as many at once as `source` has slots; a finished sequence's slot is refilled at once.
// Result i belongs to requests[i] and depends neither on the number of slots nor on the order. Uses all slots of
// `source`.
std::vector<Generated> generate(fusion::LogitSource& source, const std::shared_ptr<const text::Tokenizer>& tokenizer,
                                std::span<const GenerationRequest> requests, const GenerationSettings& settings,
                                const ReportGeneration& report = {});

}  // namespace cmc::decode
