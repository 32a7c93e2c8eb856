#include "pipeline/model/weights.hpp"

namespace cmc::model {

namespace {

// Allocates tensors, fills them and keeps their names in order.
class Builder {
 public:
  Builder(const checkpoint::ModelConfig& config, torch::Dtype dtype, torch::Device device, const FillTensor& fill,
          ModelWeights& weights)
      : config_(config), options_(torch::TensorOptions().dtype(dtype).device(device)), fill_(fill), weights_(weights) {}

  torch::Tensor matrix(const std::string& name, const Slices& rows, const Slices& columns) {
    return add({name, Fill::weights, rows, columns}, torch::empty({rows.count(), columns.count()}, options_));
  }

  RmsNorm norm(const std::string& name, int64_t width) {
    return {add({name + ".weight", Fill::norm, all_of(width), {}}, torch::empty({width}, options_)),
            config_.norm_epsilon, config_.norm_adds_one};
  }

  // Layers of the same input, their rows one after the other in one block.
  Linear linear(const std::vector<std::pair<std::string, Slices>>& outputs, const Slices& inputs, bool with_bias) {
    int64_t rows = 0;
    for (const auto& [name, slices] : outputs) rows += slices.count();
    Linear result;
    result.weight = torch::empty({rows, inputs.count()}, options_);
    result.columns = inputs;
    if (with_bias) result.bias = torch::empty({rows}, options_);
    int64_t first = 0;
    for (const auto& [name, slices] : outputs) {
      const int64_t size = slices.count();
      result.modules.push_back(name);
      result.rows.push_back(slices);
      // detach(): a leaf of its own for autograd that shares the block's memory.
      result.weights.push_back(
          add({name + ".weight", Fill::weights, slices, inputs}, result.weight.narrow(0, first, size).detach()));
      if (with_bias)
        result.biases.push_back(
            add({name + ".bias", Fill::bias, slices, {}}, result.bias.narrow(0, first, size).detach()));
      first += size;
    }
    return result;
  }

 private:
  torch::Tensor add(const TensorPlan& plan, torch::Tensor tensor) {
    fill_(plan, tensor);
    weights_.named.emplace_back(plan.name, tensor);
    return tensor;
  }

  const checkpoint::ModelConfig& config_;
  torch::TensorOptions options_;
  const FillTensor& fill_;
  ModelWeights& weights_;
};

// A layer whose inputs are split gives a part of a sum: one rank alone adds the bias.
void keep_one_bias(const Linear& layer, TensorRank tensor_rank) {
  if (tensor_rank.index > 0 && layer.bias.defined()) torch::Tensor(layer.bias).zero_();
}

LayerWeights make_layer(const checkpoint::ModelConfig& config, const TensorSplit& split, const std::string& prefix,
                        Builder& build) {
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const Slices hidden = all_of(config.hidden);
  LayerWeights layer;
  layer.query_key_value = build.linear(
      {{attention + "q_proj", split.queries}, {attention + "k_proj", split.keys}, {attention + "v_proj", split.keys}},
      hidden, config.attention_bias);
  layer.attention_output = build.linear({{attention + "o_proj", hidden}}, split.queries, config.attention_bias);
  if (config.qk_norm) {
    layer.query_norm = build.norm(attention + "q_norm", config.head_dim);
    layer.key_norm = build.norm(attention + "k_norm", config.head_dim);
  }
  layer.gate_up = build.linear({{mlp + "gate_proj", split.intermediate}, {mlp + "up_proj", split.intermediate}}, hidden,
                               config.mlp_bias);
  layer.down = build.linear({{mlp + "down_proj", hidden}}, split.intermediate, config.mlp_bias);
  for (const Linear* summed : {&layer.attention_output, &layer.down}) keep_one_bias(*summed, split.tensor_rank);
  layer.attention_norm = build.norm(prefix + "input_layernorm", config.hidden);
  if (config.post_norms) {
    layer.after_attention_norm = build.norm(prefix + "post_attention_layernorm", config.hidden);
    layer.mlp_norm = build.norm(prefix + "pre_feedforward_layernorm", config.hidden);
    layer.after_mlp_norm = build.norm(prefix + "post_feedforward_layernorm", config.hidden);
  } else {
    layer.mlp_norm = build.norm(prefix + "post_attention_layernorm", config.hidden);
  }
  return layer;
}

}  // namespace

std::vector<Linear*> linear_blocks(ModelWeights& weights) {
  std::vector<Linear*> blocks;
  for (LayerWeights& layer : weights.layers) {
    blocks.insert(blocks.end(), {&layer.query_key_value, &layer.attention_output, &layer.gate_up, &layer.down});
  }
  return blocks;
}

ModelWeights make_weights(const checkpoint::ModelConfig& config, TensorRank tensor_rank, torch::Dtype dtype,
                          torch::Device device, const FillTensor& fill) {
  // Ordinary tensors even when the caller is in inference mode: they may be trained later.
  const c10::InferenceMode ordinary(false);
  const torch::NoGradGuard no_gradients;
  ModelWeights weights;
  weights.split = split_model(config, tensor_rank);
  const TensorSplit& split = weights.split;
  Builder build(config, dtype, device, fill, weights);
  weights.embedding = build.matrix("model.embed_tokens.weight", split.vocabulary, all_of(config.hidden));
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    weights.layers.push_back(make_layer(config, split, "model.layers." + std::to_string(layer) + ".", build));
  }
  weights.final_norm = build.norm("model.norm", config.hidden);
  if (config.tied_output) {
    weights.output.weight = weights.embedding;
    weights.output.weights = {weights.embedding};
  } else {
    weights.output = build.linear({{"lm_head", split.vocabulary}}, all_of(config.hidden), false);
    weights.output.weight = weights.output.weights.front();
  }
  return weights;
}

ModelWeights copy_weights(const checkpoint::ModelConfig& config, const ModelWeights& weights) {
  size_t next = 0;
  const FillTensor fill = [&](const TensorPlan&, torch::Tensor& target) {
    target.copy_(weights.named[next++].second);  // both are made in one order
  };
  return make_weights(config, weights.split.tensor_rank, weights.embedding.scalar_type(), weights.embedding.device(),
                      fill);
}

}  // namespace cmc::model
