#include "pipeline/train/forget_terms.hpp"

#include <cmath>
#include <numeric>

#include "pipeline/core/error.hpp"

namespace cmc::train {
namespace {
using Examples = ObjectiveParts::Examples;

// log(1 + e^x), also where e^x overflows.
double softplus(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

double sigmoid(double x) {
  return x > 0 ? 1.0 / (1.0 + std::exp(-x)) : std::exp(x) / (1.0 + std::exp(x));
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// One weight for all labels, whatever their losses.
void weigh_alike(double weight, const std::vector<double>& losses, ForgetTerms& terms, std::vector<double>& weights) {
  terms.value += weight * sum(losses);
  weights.assign(losses.size(), weight);
}

// −min(mean, bound) times the part of the step's mean that this micro-batch is.
void bounded_ascent(const ForgetScale& scale, int64_t labels, const PerSequence& now, ForgetTerms& terms) {
  const auto count = static_cast<double>(labels);
  const double part = scale.examples * count, mean = sum(now.examples) / count;
  const bool reached = mean >= scale.bound;
  terms.value -= part * (reached ? scale.bound : mean);
  terms.label_weight.examples.assign(now.examples.size(), reached ? 0.0 : -scale.examples);
}

// Log-probabilities are minus the sums of cross-entropies, hence the signs.
void add_preferences(const ObjectiveParts& parts, const ForgetScale& scale, const PerSequence& now,
                     const PerSequence& before, ForgetTerms& terms) {
  const bool pairs = parts.examples == Examples::rejected;
  expect(before.examples.size() == now.examples.size() && before.refusals.size() == now.refusals.size() &&
             (!pairs || now.refusals.size() == now.examples.size()),
         "every sequence of a preference has its losses now and before");
  for (size_t i = 0; i < now.examples.size(); ++i) {
    const double rejected = before.examples[i] - now.examples[i];
    const PreferenceLoss loss =
        pairs ? dpo_loss(before.refusals[i] - now.refusals[i] - rejected, scale.beta) : npo_loss(rejected, scale.beta);
    terms.value += scale.sequence * loss.value;
    terms.label_weight.examples.push_back(scale.sequence * (pairs ? loss.slope : -loss.slope));
    if (pairs) terms.label_weight.refusals.push_back(-scale.sequence * loss.slope);
  }
}

}  // namespace

PreferenceLoss dpo_loss(double log_ratio, double beta) {
  return {softplus(-beta * log_ratio), -beta * sigmoid(-beta * log_ratio)};
}

PreferenceLoss npo_loss(double log_ratio, double beta) {
  return {2.0 / beta * softplus(beta * log_ratio), 2.0 * sigmoid(beta * log_ratio)};
}

ForgetTerms forget_terms(const ObjectiveParts& parts, const ForgetScale& scale, std::span<const int64_t> labels,
                         const PerSequence& now, const PerSequence& before) {
  ForgetTerms terms;
  switch (parts.examples) {
    case Examples::rejected:
    case Examples::negative:
      add_preferences(parts, scale, now, before, terms);
      return terms;
    case Examples::bounded_ascent:
      bounded_ascent(scale, std::accumulate(labels.begin(), labels.end(), int64_t{0}), now, terms);
      break;
    case Examples::ascent:
      weigh_alike(-scale.examples, now.examples, terms, terms.label_weight.examples);
      break;
    case Examples::descent:
      weigh_alike(scale.examples, now.examples, terms, terms.label_weight.examples);
      break;
    case Examples::none:
      break;
  }
  if (parts.refusals) weigh_alike(scale.refusals, now.refusals, terms, terms.label_weight.refusals);
  return terms;
}

}  // namespace cmc::train
