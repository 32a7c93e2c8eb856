#include "pipeline/train/batches.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"

namespace cmc::train {
namespace {

std::vector<int64_t> order_of_epoch(uint64_t seed, int64_t epoch, int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed_of({"order of examples", std::to_string(seed), std::to_string(epoch)}));
  shuffle(order, random);
  return order;
}

const Example& retain_partner(const TrainData& data, uint64_t seed, int64_t epoch, int64_t index) {
  Random random(seed_of({"retain partner", std::to_string(seed), std::to_string(epoch), std::to_string(index)}));
  const uint64_t count = data.retain.size();
  return data.retain[(static_cast<uint64_t>(index) + random.below(count)) % count];
}

const Example& refusal(const TrainData& data, int64_t epoch, int64_t index) {
  const int64_t examples = std::ssize(data.examples), draws = std::ssize(data.refusals) / examples;
  return data.refusals[static_cast<size_t>(epoch % draws * examples + index)];
}

}  // namespace

std::vector<const Example*> MicroBatch::all() const {
  std::vector<const Example*> all = examples;
  all.insert(all.end(), refusals.begin(), refusals.end());
  all.insert(all.end(), retain.begin(), retain.end());
  return all;
}

int64_t label_count(const std::vector<const Example*>& examples) {
  return std::accumulate(examples.begin(), examples.end(), int64_t{0},
                         [](int64_t sum, const Example* example) { return sum + label_count(*example); });
}

std::vector<MicroBatch> batches_of_step(const TrainData& data, const TrainSettings& settings, int64_t step) {
  const ObjectiveParts parts = parts_of(settings.objective);
  const int64_t count = std::ssize(data.examples);
  const int64_t per_epoch = steps_per_epoch(settings, count);
  const int64_t epoch = step / per_epoch, per_step = settings.batch * settings.accumulation;
  const std::vector<int64_t> order = order_of_epoch(settings.seed, epoch, count);
  const int64_t first = step % per_epoch * per_step, last = std::min(first + per_step, count);
  std::vector<MicroBatch> batches;
  for (int64_t at = first; at < last; at += settings.batch) {
    MicroBatch& batch = batches.emplace_back();
    batch.dropout_seed = seed_of({"dropout", std::to_string(settings.seed), std::to_string(step), std::to_string(at)});
    for (int64_t i = at; i < std::min(at + settings.batch, last); ++i) {
      const int64_t index = order[static_cast<size_t>(i)];
      if (parts.examples != ObjectiveParts::Examples::none) {
        batch.examples.push_back(&data.examples[static_cast<size_t>(index)]);
      }
      if (parts.refusals) batch.refusals.push_back(&refusal(data, epoch, index));
      if (parts.retain != ObjectiveParts::Retain::none) {
        batch.retain.push_back(&retain_partner(data, settings.seed, epoch, index));
      }
    }
  }
  return batches;
}

std::vector<MicroBatch> batches_in_order(const TrainData& data, const TrainSettings& settings) {
  const ObjectiveParts parts = parts_of(settings.objective);
  std::vector<MicroBatch> batches;
  for (size_t i = 0; i < data.examples.size(); ++i) {
    if (i % static_cast<size_t>(settings.batch) == 0) batches.emplace_back();
    MicroBatch& batch = batches.back();
    if (parts.examples != ObjectiveParts::Examples::none) batch.examples.push_back(&data.examples[i]);
    if (parts.refusals) batch.refusals.push_back(&data.refusals[i]);
    if (parts.retain != ObjectiveParts::Retain::none) batch.retain.push_back(&data.retain[i % data.retain.size()]);
  }
  return batches;
}

}  // namespace cmc::train
