#pragma once
#include "pipeline/model/weights.hpp"

namespace cmc::model {

// Allocates a model's tensors, fills them, and keeps their names in order.
class WeightBuilder {
 public:
  WeightBuilder(const checkpoint::ModelConfig& config, torch::Dtype dtype, torch::Device device, const FillTensor& fill,
                ModelWeights& weights)
      : config_(config), options_(torch::TensorOptions().dtype(dtype).device(device)), fill_(fill), weights_(weights) {}

  torch::Tensor matrix(const std::string& name, const Slices& rows, const Slices& columns);
  torch::Tensor vector(const std::string& name, const Slices& rows, Fill kind);
  // In float32, whatever the model's type; no parameter.
  torch::Tensor buffer(const std::string& name, const Slices& rows);

  // An empty name: no norm. `own` > 0: so many heads' weights, in one tensor [heads, width] or, where the configuration
  // names a part between, each in one of its own; `heads`: which.
  Norm norm(const std::string& name, const checkpoint::NormKind& kind, const Slices& width);
  Norm norm_of_heads(const std::string& name, const checkpoint::NormKind& kind, const std::vector<int64_t>& heads,
                     int64_t all, const Slices& width);

  struct Output {
    std::string name;
    Slices rows;
  };
  enum class Stored { straight, transposed };
  // Layers of the same input, their rows one after the other in one block.
  Linear linear(const std::vector<Output>& outputs, const Slices& inputs, bool with_bias,
                Stored stored = Stored::straight);

  // The experts' linear layers as rows of one stack [experts, outputs, inputs], its biases [experts, outputs].
  struct Stack {
    torch::Tensor weight, bias;
    std::vector<Linear> each;
  };
  // Each expert's tensors under their own names: names(expert).
  Stack stack(int64_t experts, const std::function<std::vector<Output>(int64_t)>& outputs, const Slices& inputs);
  // All of them in one stored tensor `name` [experts, inputs, outputs], biases in `name`_bias.
  Stack stored_stack(int64_t experts, const Output& output, const Slices& inputs, bool with_bias);

  // What ranks' gradients are of the tensors that are added from here on, and whether this rank holds any of them: what
  // it does not has a tensor without numbers, so that all ranks have the same tensors in one order.
  enum class Held { by_this_rank, elsewhere };
  void begin(RankGradient gradient, Held held = Held::by_this_rank) { gradient_ = gradient, held_ = held; }
  // A bias behind a product of which each rank has a part: the first rank alone adds it, the others hold zeros.
  void keep_on_first_rank(const std::string& name);

  // `label`: the parameter's name, where it is not the stored tensor's.
  torch::Tensor add(const TensorPlan& plan, torch::Tensor tensor, const std::string& label = "");

 private:
  Slices kept(const Slices& slices) const { return held_ == Held::elsewhere ? Slices{slices.whole, {}} : slices; }
  const checkpoint::ModelConfig& config_;
  torch::TensorOptions options_;
  const FillTensor& fill_;
  ModelWeights& weights_;
  RankGradient gradient_ = RankGradient::complete;
  Held held_ = Held::by_this_rank;
};

}  // namespace cmc::model
