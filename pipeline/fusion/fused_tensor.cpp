#include "pipeline/fusion/fused_tensor.hpp"

#include <limits>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {

// [V] the column of a term's logits that each base token takes; unmapped ones a column after the last.
torch::Tensor columns_of(const LogitTerm& term, int64_t vocabulary) {
  const int64_t width = term.logits.size(1);
  auto index = term.map.defined() ? term.map.to(torch::kInt64)
                                  : torch::arange(width, torch::dtype(torch::kInt64).device(term.logits.device()));
  index = index.narrow(0, 0, std::min(index.size(0), vocabulary));
  index = torch::where(index < 0, torch::full_like(index, width), index);
  return torch::constant_pad_nd(index, {0, vocabulary - index.size(0)}, width);
}

// [R, V] where a base token is among its row's most probable, the lowest ids among equals.
torch::Tensor among_top(const torch::Tensor& base, int64_t top) {
  const auto last = std::get<0>(base.topk(std::min(top, base.size(1)), 1)).narrow(1, -1, 1);
  const auto above = base > last, equal = base == last;
  return above | (equal & (equal.cumsum(1) <= top - above.sum(1, true)));
}

// [K, V] the largest of `delta` [K, Vi] among each base token's candidates; minus infinity where there is none.
torch::Tensor largest_of_candidates(const torch::Tensor& delta, const MapVariant& variant) {
  const auto counts = variant.offsets.diff();
  const auto values = delta.index_select(1, variant.candidates.to(torch::kInt64));
  const auto owner = torch::repeat_interleave(counts).unsqueeze(0).expand_as(values);
  return torch::full({delta.size(0), counts.size(0)}, -std::numeric_limits<float>::infinity(), delta.options())
      .scatter_reduce(1, owner, values, "amax");
}

// [K, 1] what unmapped tokens get, from the delta logits [K, V] of those that are `known` [K, V].
torch::Tensor fill_of(const torch::Tensor& delta, const torch::Tensor& known, Unmapped unmapped) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto any = known.any(1, true);
  const auto zero = torch::zeros({delta.size(0), 1}, delta.options());
  if (unmapped == Unmapped::minimum) return torch::where(any, delta.masked_fill(~known, infinity).amin(1, true), zero);
  if (unmapped == Unmapped::mean)
    return torch::where(any, delta.masked_fill(~known, 0.0).sum(1, true) / known.sum(1, true), zero);
  return zero;
}

// [K, V] delta logits of all base tokens as the term's variant of the map says. `base`: [R, V] not normalised.
torch::Tensor variant_logits(const torch::Tensor& base, const torch::Tensor& delta, const LogitTerm& term,
                             const torch::Tensor& rows) {
  const auto& variant = term.variant;
  torch::Tensor spread, known;
  if (variant.one_to_many()) {
    spread = largest_of_candidates(delta, variant);
    known = (variant.offsets.diff() > 0).expand_as(spread);
  } else {
    const auto columns = columns_of(term, base.size(1));
    spread = torch::constant_pad_nd(delta, {0, 1}, 0.0).index_select(1, columns);
    known = (columns < delta.size(1)).expand_as(spread);
  }
  if (variant.top > 0) known = known & among_top(base.index_select(0, rows), variant.top);
  return torch::where(known, spread, fill_of(spread, known, variant.unmapped));
}

void add_term(torch::Tensor& sum, const torch::Tensor& base, const LogitTerm& term) {
  const auto device = sum.device();
  const auto rows = torch::tensor(term.rows, torch::kInt64).to(device);
  auto delta = term.normalisation == Normalisation::log_softmax ? term.logits.log_softmax(1) : term.logits;
  if (!term.variant.is_default()) delta = variant_logits(base, delta, term, rows);
  delta = delta * torch::tensor(term.coefficients, torch::kFloat32).to(device).unsqueeze(1);
  if (term.variant.is_default())
    delta = torch::constant_pad_nd(delta, {0, 1}, 0.0).index_select(1, columns_of(term, sum.size(1)));
  sum.index_add_(0, rows, delta);
}

}  // namespace

torch::Tensor fused_scores(const torch::Tensor& base, Normalisation base_normalisation,
                           const std::vector<LogitTerm>& terms) {
  auto sum = base_normalisation == Normalisation::log_softmax ? base.log_softmax(1) : base.clone();
  for (const auto& term : terms) add_term(sum, base, term);
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
