#include "pipeline/similarity/logit_shift.hpp"

#include <cmath>

#include "pipeline/fusion/logit_source.hpp"
#include "pipeline/fusion/sequence_states.hpp"
#include "pipeline/metrics/sinkhorn.hpp"

namespace cmc::similarity {
namespace {

torch::Tensor states_in_same_vocabulary(const ShiftReader& reader, std::vector<int32_t> prompt,
                                        const std::vector<int32_t>& answer) {
  const auto first = std::ssize(prompt);
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  const auto tokens = fusion::tokens_of<BaseToken>(std::span<const int32_t>(prompt));
  const fusion::Predicted sequence{tokens, first};
  return fusion::states_before_answers(*reader.model, {&sequence, 1});
}

// All re-encoded prefixes in one pass.
torch::Tensor states_in_other_vocabulary(const ShiftReader& reader, const text::Tokenizer& reference,
                                         const std::vector<int32_t>& prompt, const std::vector<int32_t>& answer) {
  fusion::PrefixForest forest;
  std::vector<int64_t> nodes;
  for (size_t step = 0; step < answer.size(); ++step) {
    const auto text = reference.decode(std::span(answer).first(step), text::SpecialText::skip);
    auto context = prompt;
    for (const int32_t id : reader.tokenizer->encode(text, text::AddedTokens::none)) context.push_back(id);
    nodes.push_back(forest.add(context));
  }
  return fusion::states_of_nodes(*reader.model, forest, nodes);
}

std::vector<double> values_of(const torch::Tensor& matrix) {
  const auto flat = matrix.to(torch::kFloat64).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

double divergence(std::span<const double> x, std::span<const double> y, size_t dimension) {
  return metrics::sinkhorn_divergence({x, dimension}, {y, dimension});
}

double pearson(const torch::Tensor& x, const torch::Tensor& y) {
  const auto a = x.to(torch::kFloat64).flatten(), b = y.to(torch::kFloat64).flatten();
  const auto da = a - a.mean(), db = b - b.mean();
  return ((da * db).sum() / (da.norm() * db.norm())).item<double>();
}

}  // namespace

torch::Tensor step_log_probs(const ShiftReader& reader, const text::Tokenizer& reference,
                             const text::PromptTemplate& prompt, const ShiftText& text) {
  const torch::NoGradGuard no_gradients;
  const auto ids = prompt.tokens(text.question, *reader.tokenizer);
  const auto states = reader.map ? states_in_other_vocabulary(reader, reference, ids, text.answer)
                                 : states_in_same_vocabulary(reader, ids, text.answer);
  return reader.model->logits(states).log_softmax(1).cpu();
}

torch::Tensor at_tokens(const torch::Tensor& log_probs, const torch::Tensor& tokens, const token_map::TokenMap* map) {
  if (!map) return log_probs.gather(1, tokens);
  std::vector<int64_t> ids;
  for (const auto id : map->ids) ids.push_back(id.value);
  const auto mapped = torch::tensor(ids, torch::kInt64).index_select(0, tokens.flatten()).view_as(tokens);
  return log_probs.gather(1, mapped.clamp_min(0)).masked_fill(mapped < 0, 0.0);
}

Likeness likeness(const torch::Tensor& reference, const torch::Tensor& other) {
  const auto steps = static_cast<size_t>(reference.size(0)), width = static_cast<size_t>(reference.size(1));
  const auto x = values_of(reference), y = values_of(other);
  Likeness alike;
  alike.sinkhorn = divergence(x, y, width) / static_cast<double>(width);
  for (size_t step = 0; step < steps; ++step)
    alike.sinkhorn_per_step +=
        divergence(std::span(x).subspan(step * width, width), std::span(y).subspan(step * width, width), 1);
  alike.sinkhorn_per_step /= static_cast<double>(steps * width);
  alike.pearson = pearson(reference, other);
  alike.mean_square = (reference - other).to(torch::kFloat64).square().mean().item<double>();
  return alike;
}

}  // namespace cmc::similarity
