#include "pipeline/model/weights.hpp"

namespace cmc::model {

std::vector<Linear*> linear_blocks(ModelWeights& weights) {
  std::vector<Linear*> blocks;
  const auto add = [&](Linear& block) {
    if (block.is_there()) blocks.push_back(&block);
  };
  for (LayerWeights& layer : weights.layers) {
    add(layer.query_key_value);
    if (layer.latent) {
      for (Linear* block :
           {&layer.latent->query_down, &layer.latent->query_up, &layer.latent->key_down, &layer.latent->key_up})
        add(*block);
    }
    for (Linear* block : {&layer.attention_output, &layer.gate_up, &layer.down, &layer.experts.shared_gate_up,
                          &layer.experts.shared_down})
      add(*block);
  }
  return blocks;
}

std::vector<Linear*> layer_blocks(ModelWeights& weights) {
  std::vector<Linear*> blocks = linear_blocks(weights);
  for (LayerWeights& layer : weights.layers) {
    for (Linear& own : layer.experts.each_gate_up) blocks.push_back(&own);
    for (Linear& own : layer.experts.each_down) blocks.push_back(&own);
  }
  return blocks;
}

std::vector<Linear*> all_linear_blocks(ModelWeights& weights) {
  std::vector<Linear*> blocks = layer_blocks(weights);
  for (Linear* block : {&weights.project_in, &weights.project_out, &weights.output}) {
    if (block->is_there()) blocks.push_back(block);
  }
  return blocks;
}

}  // namespace cmc::model
