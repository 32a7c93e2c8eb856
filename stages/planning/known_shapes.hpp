#pragma once
#include <string>
#include <vector>

#include "pipeline/checkpoint/model_config.hpp"

// Models' sizes as their config.json gives them, known without their files: what is measured with random weights, and
// what is planned with before a checkpoint is fetched.
namespace cmc::stages {

struct KnownShape {
  std::string name;                  // "llama2_7b"
  std::vector<std::string> folders;  // as jobs/experiments name the folders of models of this shape
  int64_t stored_bytes;              // of a number in the published weights
  checkpoint::ModelConfig config;
};
const std::vector<KnownShape>& known_shapes();  // real models, and `tiny` for trying things
std::string known_shape_names();                // "tiny, smollm2_135m, …"

// A delta of about 15M parameters beside a vocabulary of 32,000 tokens (paper, section 4), with all its own weights.
checkpoint::ModelConfig delta_shape(int64_t vocabulary);

}  // namespace cmc::stages
