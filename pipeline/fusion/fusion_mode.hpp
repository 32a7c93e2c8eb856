#pragma once
#include <string_view>

namespace cmc::fusion {

// How base and delta logits are added (protocol, "Training" and fault 3). A constant per position changes neither
// softmax nor argmax, so raw_sum equals base_normalized up to rounding; both_normalized differs where base tokens are
// unmapped, because those get 0 instead of a log-probability.
enum class FusionMode {
  base_normalized,  // log_softmax(base) + alpha · delta          (the paper's; default)
  both_normalized,  // log_softmax(base) + alpha · log_softmax(delta)
  raw_sum,          // base + alpha · delta                       (Table 4, "without LogSoftmax")
};

FusionMode fusion_mode(std::string_view name);  // throws BadExperiment naming the known modes
std::string_view name_of(FusionMode mode);

}  // namespace cmc::fusion
