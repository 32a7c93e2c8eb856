#include "pipeline/fusion/fused_tensor.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {

void add_term(torch::Tensor& sum, const LogitTerm& term) {
  const auto device = sum.device();
  auto delta = term.normalisation == Normalisation::log_softmax ? term.logits.log_softmax(1) : term.logits;
  delta = delta * torch::tensor(term.coefficients, torch::kFloat32).to(device).unsqueeze(1);
  // Unmapped base tokens point to a column of zeros after the last.
  const int64_t width = term.logits.size(1), vocabulary = sum.size(1);
  auto index = term.map.defined() ? term.map.to(torch::kInt64)
                                  : torch::arange(width, torch::dtype(torch::kInt64).device(device));
  index = index.narrow(0, 0, std::min(index.size(0), vocabulary));
  index = torch::where(index < 0, torch::full_like(index, width), index);
  index = torch::constant_pad_nd(index, {0, vocabulary - index.size(0)}, width);
  delta = torch::constant_pad_nd(delta, {0, 1}, 0.0).index_select(1, index);
  sum.index_add_(0, torch::tensor(term.rows, torch::kInt64).to(device), delta);
}

}  // namespace

torch::Tensor fused_scores(const torch::Tensor& base, Normalisation base_normalisation,
                           const std::vector<LogitTerm>& terms) {
  auto sum = base_normalisation == Normalisation::log_softmax ? base.log_softmax(1) : base.clone();
  for (const auto& term : terms) add_term(sum, term);
  return sum;
}

std::vector<BaseToken> first_maxima(const torch::Tensor& scores) {
  const auto top = scores.amax(1, true);
  if (!top.isfinite().all().item<bool>()) throw_not_finite();
  // argmax leaves the choice among equals open; the smallest position that attains the maximum does not.
  const auto position = torch::arange(scores.size(1), torch::dtype(torch::kInt32).device(scores.device()));
  const auto beyond = torch::full_like(position, scores.size(1));
  const auto first = torch::where(scores == top, position, beyond).amin(1).cpu();
  std::vector<BaseToken> tokens(static_cast<size_t>(scores.size(0)));
  for (size_t r = 0; r < tokens.size(); ++r) tokens[r].value = first.const_data_ptr<int32_t>()[r];
  return tokens;
}

void throw_not_finite() {
  throw BadData({"logits", "hold no finite score (NaN or infinity)",
                 "check the checkpoint's weights and the strength alpha; use float32 or bfloat16, not float16"});
}

}  // namespace cmc::fusion
