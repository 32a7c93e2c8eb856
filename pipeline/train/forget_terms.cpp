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

using Losses = std::vector<std::vector<double>>;  // of the labels of each sequence

std::vector<double> sums(const Losses& losses) {
  std::vector<double> sums;
  for (const auto& sequence : losses) sums.push_back(sum(sequence));
  return sums;
}

// One weight for all labels, whatever their losses.
void weigh_alike(double weight, const Losses& losses, ForgetTerms& terms, Losses& weights) {
  terms.value += weight * sum(sums(losses));
  for (const auto& sequence : losses) weights.emplace_back(sequence.size(), weight);
}

// −min(mean, bound) times the part of the step's mean that this micro-batch is.
void bounded_ascent(const ForgetScale& scale, const Losses& now, ForgetTerms& terms) {
  double count = 0;
  for (const auto& sequence : now) count += static_cast<double>(sequence.size());
  const double part = scale.examples * count, mean = sum(sums(now)) / count;
  const bool reached = mean >= scale.of.bound;
  terms.value -= part * (reached ? scale.of.bound : mean);
  for (const auto& sequence : now)
    terms.label_weight.examples.emplace_back(sequence.size(), reached ? 0.0 : -scale.examples);
}

// p^beta (1 − p)^beta2 is a number, not a function: no gradient goes through it.
void weighted_ascent(const ForgetScale& scale, const Losses& now, ForgetTerms& terms) {
  for (const auto& sequence : now) {
    auto& weights = terms.label_weight.examples.emplace_back();
    for (const double loss : sequence) {
      const double p = std::exp(-loss);
      weights.push_back(-scale.examples * std::pow(p, scale.of.beta) * std::pow(1 - p, scale.of.beta2));
      terms.value += weights.back() * loss;
    }
  }
}

void add_simple_negatives(const ForgetScale& scale, const Losses& now, ForgetTerms& terms) {
  for (const auto& sequence : now) {
    const auto labels = static_cast<double>(sequence.size());
    const PreferenceLoss loss = simnpo_loss(sum(sequence) / labels, scale.of.beta, scale.of.margin);
    terms.value += scale.sequence * loss.value;
    terms.label_weight.examples.emplace_back(sequence.size(), scale.sequence * loss.slope / labels);
  }
}

// The first labels of each answer count nothing.
void weigh_later(const ForgetScale& scale, const Losses& now, ForgetTerms& terms) {
  for (const auto& sequence : now) {
    auto& weights = terms.label_weight.examples.emplace_back(sequence.size(), scale.examples);
    for (size_t t = 0; t < sequence.size(); ++t) {
      if (static_cast<int64_t>(t) < scale.of.skipped) weights[t] = 0;
      terms.value += weights[t] * sequence[t];
    }
  }
}

// Log-probabilities are minus the sums of cross-entropies, hence the signs.
void add_preferences(const ObjectiveParts& parts, const ForgetScale& scale, const PerLabel& now,
                     const PerSequence& before, ForgetTerms& terms) {
  const bool pairs = parts.examples == Examples::rejected;
  expect(before.examples.size() == now.examples.size() && before.refusals.size() == now.refusals.size() &&
             (!pairs || now.refusals.size() == now.examples.size()),
         "every sequence of a preference has its losses now and before");
  const auto examples = sums(now.examples), refusals = sums(now.refusals);
  for (size_t i = 0; i < examples.size(); ++i) {
    const double rejected = before.examples[i] - examples[i], beta = scale.of.beta;
    const PreferenceLoss loss =
        pairs ? dpo_loss(before.refusals[i] - refusals[i] - rejected, beta) : npo_loss(rejected, beta);
    const double slope = scale.sequence * loss.slope;
    terms.value += scale.sequence * loss.value;
    terms.label_weight.examples.emplace_back(now.examples[i].size(), pairs ? slope : -slope);
    if (pairs) terms.label_weight.refusals.emplace_back(now.refusals[i].size(), -slope);
  }
}

}  // namespace

PreferenceLoss dpo_loss(double log_ratio, double beta) {
  return {softplus(-beta * log_ratio), -beta * sigmoid(-beta * log_ratio)};
}

PreferenceLoss npo_loss(double log_ratio, double beta) {
  return {2.0 / beta * softplus(beta * log_ratio), 2.0 * sigmoid(beta * log_ratio)};
}

PreferenceLoss simnpo_loss(double loss, double beta, double margin) {
  const double at = beta * (loss - margin);
  return {2.0 / beta * softplus(-at), -2.0 * sigmoid(-at)};
}

ForgetTerms forget_terms(const ObjectiveParts& parts, const ForgetScale& scale, const PerLabel& now,
                         const PerSequence& before) {
  ForgetTerms terms;
  switch (parts.examples) {
    case Examples::rejected:
    case Examples::negative:
      add_preferences(parts, scale, now, before, terms);
      return terms;
    case Examples::simple_negative:
      add_simple_negatives(scale, now.examples, terms);
      break;
    case Examples::bounded_ascent:
      bounded_ascent(scale, now.examples, terms);
      break;
    case Examples::weighted_ascent:
      weighted_ascent(scale, now.examples, terms);
      break;
    case Examples::without_label:
      weigh_later(scale, now.examples, terms);
      break;
    case Examples::ascent:
      weigh_alike(-scale.examples, now.examples, terms, terms.label_weight.examples);
      break;
    case Examples::descent:
    case Examples::dampened:
      weigh_alike(scale.examples, now.examples, terms, terms.label_weight.examples);
      break;
    case Examples::none:
      break;
  }
  if (parts.refusals) weigh_alike(scale.refusals, now.refusals, terms, terms.label_weight.refusals);
  return terms;
}

}  // namespace cmc::train
