#include "pipeline/fusion/fused_tensor.hpp"

#include <algorithm>
#include <limits>

#include "pipeline/core/error.hpp"

namespace cmc::fusion {
namespace {

// [R, V] where a base token is among its row's most probable, the lowest ids among equals.
torch::Tensor among_top(const torch::Tensor& base, int64_t top) {
  const auto last = std::get<0>(base.topk(std::min(top, base.size(1)), 1)).narrow(1, -1, 1);
  const auto above = base > last, equal = base == last;
  return above | (equal & (equal.cumsum(1) <= top - above.sum(1, true)));
}

// [K, V] the largest of `delta` [K, Vi] among each base token's candidates, or log Σ exp of them; minus infinity where
// there is none.
torch::Tensor pooled_candidates(const torch::Tensor& delta, const MapVariant& variant, const MapIndex& index) {
  const auto values = delta.index_select(1, variant.candidates);
  const auto owners = index.owners.unsqueeze(0).expand_as(values);
  const auto largest = torch::full({delta.size(0), variant.offsets.size(0) - 1},
                                   -std::numeric_limits<float>::infinity(), delta.options())
                           .scatter_reduce(1, owners, values, "amax");
  if (variant.pooling == token_map::Pooling::maximum) return largest;
  const auto shares = (values - largest.gather(1, owners)).exp();
  return largest + torch::zeros_like(largest).scatter_add(1, owners, shares).log();
}

// The same, some rows at a time: all candidates of all rows can be many more than the logits are.
torch::Tensor spread_candidates(const torch::Tensor& delta, const MapVariant& variant, const MapIndex& index) {
  constexpr int64_t at_once = int64_t{1} << 24;
  const int64_t rows = std::max<int64_t>(1, at_once / std::max<int64_t>(1, variant.candidates.size(0)));
  if (delta.size(0) <= rows) return pooled_candidates(delta, variant, index);
  std::vector<torch::Tensor> parts;
  for (const auto& part : delta.split(rows)) parts.push_back(pooled_candidates(part, variant, index));
  return torch::cat(parts);
}

// [K, V] whether a base token stands for one of the delta's most probable tokens.
torch::Tensor among_top_of_delta(const torch::Tensor& delta, int64_t top, const MapIndex& index) {
  return torch::constant_pad_nd(among_top(delta, top), {0, 1}, 0).index_select(1, index.columns);
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

// [R, V] delta logits of all base tokens as the term's variant of the map says. `base`: [R, V] not normalised; `delta`:
// [R, Vi] of the same rows.
torch::Tensor variant_logits(const torch::Tensor& base, const torch::Tensor& delta, const LogitTerm& term,
                             const MapIndex& index) {
  const auto& variant = term.variant;
  torch::Tensor spread, known;
  if (variant.one_to_many()) {
    spread = spread_candidates(delta, variant, index);
    known = (variant.offsets.diff() > 0).expand_as(spread);
  } else {
    spread = torch::constant_pad_nd(delta, {0, 1}, 0.0).index_select(1, index.columns);
    known = (index.columns < delta.size(1)).expand_as(spread);
  }
  if (variant.top > 0) {
    auto asked = among_top(base, variant.top);
    if (variant.top_of == TopOf::either) asked = asked | among_top_of_delta(delta, variant.top, index);
    known = known & asked;
  }
  return torch::where(known, spread, fill_of(spread, known, variant.unmapped));
}

// Rows that the term is not for are computed along with those of another and masked out: which ones they are is in a
// tensor, so that the same operations serve every step.
void add_term(torch::Tensor& sum, const torch::Tensor& base, const LogitTerm& term) {
  const int64_t vocabulary = sum.size(1), width = term.logits.width();
  const auto place = placed(term, sum.size(0));
  const auto from = place.row_of.clamp_min(0);
  auto delta = term.logits.whole();
  if (term.normalisation == Normalisation::log_softmax) delta = delta.log_softmax(1);
  delta = delta.index_select(0, from);
  const bool identity = !term.map.defined() && width >= vocabulary;
  if (identity) {
    delta = delta.narrow(1, 0, vocabulary);
  } else {
    const auto index =
        term.index.columns.defined() ? term.index : index_of(term.map, term.variant, width, vocabulary, sum.device());
    delta = term.variant.is_default() ? torch::constant_pad_nd(delta, {0, 1}, 0.0).index_select(1, index.columns)
                                      : variant_logits(base, delta, term, index);
  }
  delta = delta * place.coefficients.index_select(0, from).unsqueeze(1);
  if (term.gate.rule == GateRule::disagreement)
    delta = delta * disagreement(base, delta);
  else if (!term.gate.is_open())
    delta = torch::where(counts_at(base, term.gate), delta, torch::zeros_like(delta));
  sum.add_(delta.masked_fill_((place.row_of < 0).unsqueeze(1), 0.0));
}

// [R] position of the last one where `holds` [R, V].
torch::Tensor last_where(const torch::Tensor& holds) {
  const auto position = torch::arange(holds.size(1), torch::dtype(torch::kInt64).device(holds.device()));
  return torch::where(holds, position, torch::full_like(position, -1)).amax(1);
}

// Drawn in id order, in double precision, as draw() does.
torch::Tensor drawn(const torch::Tensor& scores, const torch::Tensor& top, const Sampling& sampling,
                    const torch::Tensor& uniforms) {
  auto weights = ((scores.to(torch::kFloat64) - top) / sampling.temperature).exp();
  if (sampling.top_p < 1.0) {
    const auto [ranked, order] = weights.sort(/*stable=*/true, 1, /*descending=*/true);
    const auto before = ranked.cumsum(1) - ranked;
    const auto kept = ranked.masked_fill(before >= sampling.top_p * weights.sum(1, true), 0.0);
    weights = torch::zeros_like(weights).scatter_(1, order, kept);
  }
  const auto reached = weights.cumsum(1);
  const auto passed = (reached <= uniforms.unsqueeze(1) * reached.narrow(1, -1, 1)).sum(1);
  return torch::minimum(passed, last_where(weights > 0));
}

}  // namespace

torch::Tensor fused_scores(const torch::Tensor& base, Normalisation base_normalisation,
                           const std::vector<LogitTerm>& terms) {
  auto sum = base_normalisation == Normalisation::log_softmax ? base.log_softmax(1) : base.clone();
  for (const auto& term : terms) add_term(sum, base, term);
  return sum;
}

torch::Tensor choice_among(const torch::Tensor& scores, const Sampling& sampling, const torch::Tensor& uniforms) {
  const auto top = scores.amax(1, true);
  torch::Tensor tokens;
  if (sampling.greedy()) {
    // argmax leaves the choice among equals open; the smallest position that attains the maximum does not.
    const auto position = torch::arange(scores.size(1), torch::dtype(torch::kInt64).device(scores.device()));
    tokens = torch::where(scores == top, position, torch::full_like(position, scores.size(1))).amin(1);
  } else {
    tokens = drawn(scores, top, sampling, uniforms);
  }
  return tokens.masked_fill_(top.isfinite().logical_not_().squeeze(1), -1).to(torch::kInt32);
}

Placed placed(const LogitTerm& term, int64_t rows) {
  if (term.placed.row_of.defined()) return term.placed;
  std::vector<int32_t> row_of(static_cast<size_t>(rows), -1);
  for (size_t k = 0; k < term.rows.size(); ++k) row_of[static_cast<size_t>(term.rows[k])] = static_cast<int32_t>(k);
  const auto device = term.logits.whole().device();
  return {torch::tensor(row_of, torch::kInt32).to(device),
          torch::tensor(term.coefficients, torch::kFloat32).to(device)};
}

}  // namespace cmc::fusion
