#include "pipeline/train/held_out.hpp"

#include <cstring>
#include <string>

#include "pipeline/core/error.hpp"
#include "pipeline/train/gradient.hpp"

namespace cmc::train {
namespace {

// The last `count` of `all`, moved out of it.
std::vector<Example> take_last(std::vector<Example>& all, int64_t count, const char* where) {
  if (count >= std::ssize(all)) {
    throw BadData({where, "are " + std::to_string(all.size()) + ", of which " + std::to_string(count) + " are held out",
                   "hold out fewer than there are"});
  }
  std::vector<Example> last(std::make_move_iterator(all.end() - count), std::make_move_iterator(all.end()));
  all.erase(all.end() - count, all.end());
  return last;
}

// Of each draw of one refusal an example; what is held out is of the first draw.
std::vector<Example> take_refusals(std::vector<Example>& all, int64_t examples, int64_t count) {
  std::vector<Example> held_out, left;
  for (int64_t i = 0; i < std::ssize(all); ++i) {
    Example& refusal = all[static_cast<size_t>(i)];
    if (i % examples < examples - count)
      left.push_back(std::move(refusal));
    else if (i < examples)
      held_out.push_back(std::move(refusal));
  }
  all = std::move(left);
  return held_out;
}

using Numbers = std::vector<double>;  // loss and parts of each pass, one after the other
constexpr size_t numbers_a_pass = 4;

Numbers numbers_in(const std::string& bytes) {
  Numbers numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

}  // namespace

TrainData hold_out(TrainData& data, int64_t count) {
  if (count == 0) return {};
  TrainData held_out;
  const int64_t examples = std::ssize(data.examples);
  held_out.examples = take_last(data.examples, count, "training examples");
  if (!data.retain.empty()) held_out.retain = take_last(data.retain, count, "retain examples");
  held_out.refusals = take_refusals(data.refusals, examples, count);
  return held_out;
}

HeldOutLoss held_out_loss(const Training& training, Reference* reference, const std::vector<MicroBatch>& batches,
                          int64_t pass_tokens) {
  const auto ranks = static_cast<size_t>(training.group.size()), rank = static_cast<size_t>(training.group.rank());
  Numbers mine;
  size_t passes = 0;
  for (auto left = std::span(batches); !left.empty(); ++passes) {
    const std::vector<WeighedBatch> pass = next_pass(training.settings, pass_tokens, left, batches);
    left = left.subspan(pass.size());
    if (passes % ranks != rank) continue;
    const StepSums sums = losses_of(training, reference, pass);
    mine.insert(mine.end(), {sums.loss, sums.examples_loss, sums.refusals_loss, sums.retain_loss});
  }
  std::vector<Numbers> by_rank;
  const std::string_view bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(double));
  for (const std::string& theirs : training.group.all_gather(bytes)) by_rank.push_back(numbers_in(theirs));
  HeldOutLoss sum;
  for (size_t i = 0; i < passes; ++i) {
    const double* const of_pass = by_rank[i % ranks].data() + i / ranks * numbers_a_pass;
    sum.loss += of_pass[0];
    sum.examples_loss += of_pass[1];
    sum.refusals_loss += of_pass[2];
    sum.retain_loss += of_pass[3];
  }
  return sum;
}

std::vector<torch::Tensor> copy_weights(const model::DecoderModel& model) {
  std::vector<torch::Tensor> copies;
  for (const auto& [name, parameter] : model.trainable())
    copies.push_back(parameter.detach().to(torch::kCPU, /*non_blocking=*/false, /*copy=*/true));
  return copies;
}

void put_back(const std::vector<torch::Tensor>& weights, model::DecoderModel& model) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < weights.size(); ++i) torch::Tensor(model.trainable()[i].second).copy_(weights[i]);
}

}  // namespace cmc::train
