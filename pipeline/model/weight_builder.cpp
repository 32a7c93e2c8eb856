#include "pipeline/model/weight_builder.hpp"

namespace cmc::model {

torch::Tensor WeightBuilder::add(const TensorPlan& plan, torch::Tensor tensor, const std::string& label) {
  fill_(plan, tensor);
  weights_.named.emplace_back(label.empty() ? plan.name : label, tensor);
  weights_.plans.push_back(plan);
  weights_.plans.back().gradient = gradient_;
  return tensor;
}

void WeightBuilder::keep_on_first_rank(const std::string& name) {
  for (size_t i = 0; i < weights_.plans.size(); ++i) {
    if (weights_.plans[i].name != name) continue;
    weights_.plans[i].gradient = RankGradient::of_first_rank;
    if (weights_.split.tensor_rank.in_block().index > 0) weights_.named[i].second.zero_();
  }
}

torch::Tensor WeightBuilder::matrix(const std::string& name, const Slices& all_rows, const Slices& all_columns) {
  const Slices rows = kept(all_rows), columns = kept(all_columns);
  return add({name, Fill::weights, rows, columns}, torch::empty({rows.count(), columns.count()}, options_));
}

torch::Tensor WeightBuilder::vector(const std::string& name, const Slices& all_rows, Fill kind) {
  const Slices rows = kept(all_rows);
  return add({name, kind, rows, {}}, torch::empty({rows.count()}, options_));
}

torch::Tensor WeightBuilder::buffer(const std::string& name, const Slices& all_rows) {
  const Slices rows = kept(all_rows);
  const TensorPlan plan{name, Fill::buffer, rows, {}};
  torch::Tensor tensor = torch::empty({rows.count()}, options_.dtype(torch::kFloat32));
  fill_(plan, tensor);
  weights_.buffers.emplace_back(plan, tensor);
  return tensor;
}

Norm WeightBuilder::norm(const std::string& name, const checkpoint::NormKind& kind, const Slices& width) {
  Norm norm{.kind = kind, .is_there = !name.empty()};
  if (name.empty()) return norm;
  if (kind.weight) norm.weight = vector(name + ".weight", width, Fill::norm);
  if (kind.bias) norm.bias = vector(name + ".bias", width, Fill::bias);
  return norm;
}

Norm WeightBuilder::norm_of_heads(const std::string& name, const checkpoint::NormKind& kind,
                                  const std::vector<int64_t>& heads, int64_t all, const Slices& whole_width) {
  const Slices width = kept(whole_width);
  Norm norm{.kind = kind, .is_there = true};
  const auto filled = [&](const char* suffix, Fill fill, std::vector<torch::Tensor>& parts) {
    const std::string& between = config_.names.head_of_norm;
    if (between.empty()) {
      Slices rows{all, {}};
      if (held_ == Held::by_this_rank)
        for (const int64_t head : heads) rows.ranges.push_back({head, 1, 1});
      return add({name + suffix, fill, rows, width}, torch::empty({rows.count(), width.count()}, options_));
    }
    const torch::Tensor block = torch::empty({std::ssize(heads), width.count()}, options_);
    for (size_t i = 0; i < heads.size(); ++i) {
      const std::string own = name + between + std::to_string(heads[i]) + suffix;
      parts.push_back(add({own, fill, width, {}}, block.select(0, static_cast<int64_t>(i)).detach()));
    }
    return block;
  };
  if (kind.weight) norm.weight = filled(".weight", Fill::norm, norm.weights);
  if (kind.bias) norm.bias = filled(".bias", Fill::bias, norm.biases);
  return norm;
}

Linear WeightBuilder::linear(const std::vector<Output>& outputs, const Slices& all_inputs, bool with_bias,
                             Stored stored) {
  const Slices inputs = kept(all_inputs);
  int64_t rows = 0;
  for (const auto& [name, slices] : outputs) rows += kept(slices).count();
  Linear result;
  result.weight = torch::empty({rows, inputs.count()}, options_);
  result.columns = inputs;
  result.transposed = stored == Stored::transposed;
  if (with_bias) result.bias = torch::empty({rows}, options_);
  int64_t first = 0;
  for (const auto& [name, all_rows] : outputs) {
    const Slices slices = kept(all_rows);
    const int64_t size = slices.count();
    result.modules.push_back(name);
    result.rows.push_back(slices);
    // detach(): a leaf of its own for autograd that shares the block's memory.
    result.weights.push_back(add({name + ".weight", Fill::weights, slices, inputs, result.transposed},
                                 result.weight.narrow(0, first, size).detach()));
    if (with_bias)
      result.biases.push_back(
          add({name + ".bias", Fill::bias, slices, {}}, result.bias.narrow(0, first, size).detach()));
    first += size;
  }
  return result;
}

WeightBuilder::Stack WeightBuilder::stack(int64_t experts, const std::function<std::vector<Output>(int64_t)>& outputs,
                                          const Slices& all_inputs) {
  const Slices inputs = kept(all_inputs);
  Stack result;
  int64_t rows = 0;
  for (const auto& [name, slices] : outputs(0)) rows += kept(slices).count();
  result.weight = torch::empty({experts, rows, inputs.count()}, options_);
  for (int64_t expert = 0; expert < experts; ++expert) {
    Linear& own = result.each.emplace_back();
    own.weight = result.weight.select(0, expert);
    own.columns = inputs;
    int64_t first = 0;
    for (const auto& [name, all_rows] : outputs(expert)) {
      const Slices slices = kept(all_rows);
      own.modules.push_back(name);
      own.rows.push_back(slices);
      own.weights.push_back(
          add({name + ".weight", Fill::weights, slices, inputs}, own.weight.narrow(0, first, slices.count()).detach()));
      first += slices.count();
    }
  }
  return result;
}

WeightBuilder::Stack WeightBuilder::stored_stack(int64_t experts, const Output& whole, const Slices& all_inputs,
                                                 bool with_bias) {
  const Output output{whole.name, kept(whole.rows)};
  const Slices inputs = kept(all_inputs);
  Stack result;
  const int64_t rows = output.rows.count();
  result.weight = torch::empty({experts, rows, inputs.count()}, options_);
  if (with_bias) result.bias = torch::empty({experts, rows}, options_);
  for (int64_t expert = 0; expert < experts; ++expert) {
    const std::string label = output.name + "." + std::to_string(expert);
    Linear& own = result.each.emplace_back();
    own.weight = result.weight.select(0, expert);
    own.columns = inputs;
    own.modules = {label};
    own.rows = {output.rows};
    own.weights = {
        add({output.name, Fill::weights, output.rows, inputs, true, expert, experts}, own.weight.detach(), label)};
    if (!with_bias) continue;
    own.bias = result.bias.select(0, expert);
    own.biases = {add({output.name + "_bias", Fill::bias, output.rows, {}, false, expert, experts}, own.bias.detach(),
                      output.name + "_bias." + std::to_string(expert))};
  }
  return result;
}

}  // namespace cmc::model
