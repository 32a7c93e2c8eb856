#pragma once
#include <torch/types.h>

#include <optional>
#include <span>
#include <vector>

#include "pipeline/core/ids.hpp"

namespace cmc::fusion {

// The tokens that a step chose: on their way from the device until somebody asks for them.
class Chosen {
 public:
  // `chose` [rows]: whether the row chose a token; one whose prompt is not read whole yet does not.
  // `tokens`: of those that did, in their order.
  Chosen(std::vector<bool> chose, const std::vector<BaseToken>& tokens);
  // `copied` [tokens] int32 in host memory is complete after `event` (none: already); -1: the row held no finite score.
  Chosen(std::vector<bool> chose, torch::Tensor copied, std::optional<c10::Event> event);

  bool chose(size_t row) const { return chose_[row]; }
  // [rows], -1 where none was chosen. Waits for the copy. Throws BadData where a row held no finite score.
  const std::vector<BaseToken>& tokens();

 private:
  void fill(std::span<const int32_t> tokens);

  std::vector<bool> chose_;
  std::vector<BaseToken> tokens_;  // empty: not asked for yet
  torch::Tensor copied_;
  std::optional<c10::Event> event_;
};

}  // namespace cmc::fusion
