#include "pipeline/fusion/chosen.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/not_finite.hpp"

namespace cmc::fusion {

Chosen::Chosen(std::vector<bool> chose, const std::vector<BaseToken>& tokens) : chose_(std::move(chose)) {
  std::vector<int32_t> ids;
  for (const auto token : tokens) ids.push_back(token.value);
  fill(ids);
}

Chosen::Chosen(std::vector<bool> chose, torch::Tensor copied, std::optional<c10::Event> event)
    : chose_(std::move(chose)), copied_(std::move(copied)), event_(std::move(event)) {
  expect(copied_.is_cpu() && copied_.scalar_type() == torch::kInt32, "chosen tokens arrive as int32 in host memory");
}

const std::vector<BaseToken>& Chosen::tokens() {
  if (!copied_.defined()) return tokens_;
  if (event_) event_->synchronize();
  fill({copied_.const_data_ptr<int32_t>(), static_cast<size_t>(copied_.numel())});
  copied_.reset();
  return tokens_;
}

void Chosen::fill(std::span<const int32_t> tokens) {
  expect(std::count(chose_.begin(), chose_.end(), true) <= std::ssize(tokens), "a token for each row that chose one");
  tokens_.assign(chose_.size(), {});
  for (size_t row = 0, next = 0; row < chose_.size(); ++row) {
    if (!chose_[row]) continue;
    tokens_[row].value = tokens[next++];
    if (tokens_[row].value < 0) throw_not_finite();
  }
}

}  // namespace cmc::fusion
