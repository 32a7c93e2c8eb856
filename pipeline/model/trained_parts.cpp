#include "pipeline/model/trained_parts.hpp"

#include <cmath>
#include <map>

#include "pipeline/core/error.hpp"

namespace cmc::model {

namespace {

bool is_vector(const TensorPlan& plan) {
  return plan.columns.whole == 0;
}

std::vector<int64_t> matrix_shape(const TensorPlan& plan) {
  if (is_vector(plan)) return {plan.rows.whole};
  return {plan.rows.whole, plan.columns.whole};
}

// How often these slices have each place, [whole, 1].
torch::Tensor counts(const Slices& slices, torch::Device device) {
  torch::Tensor whole = torch::zeros({slices.whole}, device);
  add_slices(torch::ones({slices.count()}, device), slices, {}, whole);
  return whole.unsqueeze(1);
}

// What is stored of values in the order of the checkpoint, stacks of experts together.
NamedTensors stored(const std::vector<TensorPlan>& plans, const std::vector<torch::Tensor>& matrices) {
  NamedTensors result;
  std::map<std::string, std::vector<torch::Tensor>> stacks;
  for (size_t i = 0; i < plans.size(); ++i) {
    const TensorPlan& plan = plans[i];
    const torch::Tensor tensor = plan.transposed ? matrices[i].t().contiguous() : matrices[i];
    if (plan.expert < 0) {
      result.emplace_back(plan.name, tensor);
      continue;
    }
    std::vector<torch::Tensor>& stack = stacks[plan.name];
    stack.push_back(tensor);
    if (std::ssize(stack) == plan.experts) result.emplace_back(plan.name, torch::stack(stack));
  }
  return result;
}

// [count, 2] of counts at all places.
torch::Tensor taken(const torch::Tensor& whole, const Slices& slices) {
  torch::Tensor held = torch::empty({slices.count(), 2}, whole.options());
  copy_slices(whole, slices, all_of(2), held);
  return held;
}

}  // namespace

TrainedParts::TrainedParts(std::vector<TensorPlan> plans, TensorGroup group, torch::Device device)
    : plans_(std::move(plans)), group_(std::move(group)) {
  if (group_.is_split()) find_holders(device);
}

void TrainedParts::find_holders(torch::Device device) {
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> own;
  for (const TensorPlan& plan : plans_) {
    own.push_back(counts(plan.rows, device));
    if (!is_vector(plan)) own.push_back(counts(plan.columns, device));
  }
  const TensorRank rank = group_.tensor_rank();
  const torch::Tensor by_rank = group_.gather_columns(torch::cat(own), rank.size);  // [places, ranks]
  // [places, 2] how often any rank, and a rank before this one, holds them.
  const torch::Tensor all = torch::stack({by_rank.sum(1), by_rank.narrow(1, 0, rank.index).sum(1)}, 1);
  int64_t first = 0;
  const auto next = [&](const Slices& slices) {
    first += slices.whole;
    return all.narrow(0, first - slices.whole, slices.whole);
  };
  for (const TensorPlan& plan : plans_) {
    const torch::Tensor rows = next(plan.rows), columns = is_vector(plan) ? torch::Tensor() : next(plan.columns);
    // Either rows or columns are dealt out: of the others all that hold anything hold all.
    const bool deals_columns =
        columns.defined() && (columns.select(1, 0).mean() < rows.select(1, 0).mean()).item<bool>();
    const torch::Tensor& dealt = deals_columns ? columns : rows;
    torch::Tensor held = taken(dealt, deals_columns ? plan.columns : plan.rows);
    if (columns.defined()) held = held.unsqueeze(deals_columns ? 0 : 1);
    const torch::Tensor times = held.select(-1, 0), before = held.select(-1, 1);
    const bool first_alone = plan.gradient == RankGradient::of_first_rank;
    held_.push_back({(dealt.select(1, 0) > 1).any().item<bool>(), first_alone ? torch::ones_like(times) : 1 / times,
                     (before == 0).to(torch::kFloat32)});
  }
}

void TrainedParts::complete(const std::vector<torch::Tensor>& gradients) const {
  if (!group_.is_split()) return;
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> wholes;
  std::vector<size_t> shared;
  for (size_t i = 0; i < plans_.size(); ++i) {
    if (plans_[i].gradient == RankGradient::of_first_rank && group_.tensor_rank().in_block().index > 0)
      torch::Tensor(gradients[i]).zero_();
    if (plans_[i].gradient != RankGradient::partial || !held_[i].is_shared) continue;
    shared.push_back(i);
    torch::Tensor whole = torch::zeros(matrix_shape(plans_[i]), gradients[i].options());
    add_slices(gradients[i], plans_[i].rows, plans_[i].columns, whole);
    wholes.push_back(whole.flatten());
  }
  if (shared.empty()) return;
  const torch::Tensor sum = group_.sum(torch::cat(wholes));
  int64_t first = 0;
  for (size_t k = 0; k < shared.size(); ++k) {
    const TensorPlan& plan = plans_[shared[k]];
    torch::Tensor gradient = gradients[shared[k]];
    copy_slices(sum.narrow(0, first, wholes[k].numel()).view(matrix_shape(plan)), plan.rows, plan.columns, gradient);
    first += wholes[k].numel();
  }
}

double TrainedParts::norm(const std::vector<torch::Tensor>& values) const {
  const torch::NoGradGuard no_gradients;
  if (!group_.is_split()) return torch::linalg_vector_norm(torch::stack(at::_foreach_norm(values))).item<double>();
  torch::Tensor squares = torch::zeros({1}, values.front().options());
  for (size_t i = 0; i < values.size(); ++i) squares += (values[i].square() * held_[i].share).sum();
  return std::sqrt(group_.sum(squares).item<double>());
}

NamedTensors TrainedParts::as_stored(const std::vector<torch::Tensor>& values) const {
  expect(values.size() == plans_.size(), "there is a value for each tensor that is trained");
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> matrices;
  const bool is_first = group_.tensor_rank().index == 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!group_.is_split()) {
      matrices.push_back(stored_order(values[i], plans_[i].rows, plans_[i].columns));
      continue;
    }
    torch::Tensor whole = torch::zeros(matrix_shape(plans_[i]), values[i].options().requires_grad(false));
    put_slices(values[i].detach() * held_[i].is_first, plans_[i].rows, plans_[i].columns, whole);
    whole = group_.sum(whole);
    if (is_first) matrices.push_back(whole.cpu());
  }
  return is_first ? stored(plans_, matrices) : NamedTensors();
}

}  // namespace cmc::model
