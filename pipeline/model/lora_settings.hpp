#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace cmc::model {

// Low-rank adaptation (LoRA, Hu et al. 2021): W x becomes W x + alpha / rank · B A x with W frozen.
struct LoraSettings {
  int64_t rank = 8;
  double alpha = 32;
  double dropout = 0;  // of an adapter's inputs, in training
  // Linear layers by the last part of their Hugging Face names.
  std::vector<std::string> targets = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
};

}  // namespace cmc::model
