#pragma once
#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/records/training_parameters.hpp"
#include "stages/experiment/experiment.hpp"

namespace cmc::stages {

// What a model holds, what one token costs and what one pass reads, from the sizes alone.
struct Footprint {
  double matrix_weights = 0;   // numbers in the layers' matrices
  double vector_weights = 0;   // in their norms and biases, and in the final norm
  double active_weights = 0;   // of those matrices, what one token is multiplied with (fewer with experts)
  double output_weights = 0;   // numbers in the output layer
  double input_weights = 0;    // numbers in the embedding, where the output is not tied to it, and in learned positions
  double cache_per_token = 0;  // numbers that keys and values of one token take in all layers

  double weights() const { return matrix_weights + vector_weights + output_weights + input_weights; }
  // Numbers that one decoding step reads: all weights but the embedding's, and the cache of `rows` sequences of
  // `context` tokens, of which a sliding layer sees its window.
  double read_by_step(const checkpoint::ModelConfig& config, double rows, double context) const;
  // Operations (a multiply and an add are two) of reading a sequence of `tokens` from its beginning, with logits for
  // `predicted` of them.
  double operations(const checkpoint::ModelConfig& config, double tokens, double predicted) const;
};
Footprint footprint_of(const checkpoint::ModelConfig& config);

// Bytes of a number in the type that models compute in (compute.dtype).
int64_t computed_bytes(const Experiment& experiment);

// Memory of a device (bytes) that a model takes: what the ranks of a tensor-parallel group share out, and what each
// holds whole.
struct DeviceBytes {
  double shared = 0, each = 0;
  int64_t on(int ranks) const { return static_cast<int64_t>(shared / ranks + each); }
  DeviceBytes times(int models) const { return {shared * models, each * models}; }
};

// Of decoding or scoring with a model: its weights in the type it computes in (the kernels of a CPU keep them packed
// besides), keys and values of compute.batch sequences of `tokens`, and their logits in float32. What LibTorch itself
// and single operations take is not in it.
DeviceBytes decoding_bytes(const Experiment& experiment, const checkpoint::ModelConfig& config, int64_t tokens);

// Of training a model: all its weights with their gradients and Adam's two moments in float32, and the best so far
// where they are kept; or with LoRA the frozen weights in the type that models compute in, and half a float each for
// adapters and what layers keep for them.
DeviceBytes training_bytes(const Experiment& experiment, const checkpoint::ModelConfig& config,
                           const records::TrainingParameters& training);

}  // namespace cmc::stages
