#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pipeline/fusion/delta_gate.hpp"
#include "pipeline/fusion/fusion_mode.hpp"
#include "pipeline/fusion/map_variant.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/text/tokenizer.hpp"
#include "pipeline/token_map/token_map.hpp"

// What is fused, and how.
namespace cmc::fusion {

// The target model.
struct Base {
  std::shared_ptr<const model::DecoderModel> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null: no delta of another vocabulary
};

// What is added to the base: one delta model, or several with signs (proxy tuning and delta-unlearning: expert +1,
// anti-expert -1). All parts share one vocabulary.
struct Delta {
  struct Part {
    std::shared_ptr<const model::DecoderModel> model;
    float weight = 1.0f;
  };
  std::vector<Part> parts;
  // Of the parts; both null: the base's vocabulary, the parts read what the base reads.
  std::shared_ptr<const text::Tokenizer> tokenizer = {};
  std::shared_ptr<const token_map::TokenMap> map = {};
  // What is added is how much more probable the base finds a token than the one part does, log p less log p; the part
  // shares the base's vocabulary and reads a prompt of its own (Row::delta_prompts).
  bool contrast = false;
};

struct FusionSettings {
  FusionMode mode = FusionMode::base_normalized;
  int64_t slots = 16;              // sequences decoded together
  int64_t initial_capacity = 256;  // tokens a slot holds at first; caches grow as needed
  int64_t forced_tokens = 0;  // tokens of one packed pass in force(); 0: what suits the device (with_forced_limits)
  int64_t forced_logits = 0;  // logits (rows · vocabulary) held at once in force(); 0: the same
  // Of deltas of another vocabulary, see MapVariant.
  int64_t top = 0;  // 0: all
  Unmapped unmapped = Unmapped::zero;
  DeltaGate gate = {};
  // Tokens of a prompt read in one pass beside rows that decode; 0: whole prompts on a CPU, 512 on a device.
  int64_t prefill_chunk = 0;
  std::optional<int64_t> lag = {};  // see LogitSource; none: 0 on a CPU, 1 on a device
  std::optional<bool> graphs = {};  // steps that decode as graphs, see StepRunner; none: on a device
  TopOf top_of = TopOf::base;       // of `top`
};

}  // namespace cmc::fusion
