#include "stages/bench/shape_named.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::stages {

checkpoint::ModelConfig shape_named(const std::string& name, int64_t layers) {
  const auto found = std::ranges::find(known_shapes(), name, &KnownShape::name);
  if (found == known_shapes().end()) throw Usage({"--shape " + name, "is not known", "known: " + known_shape_names()});
  auto config = found->config;
  if (layers < 0 || layers > config.layers)
    throw Usage({"--layers", "is " + std::to_string(layers) + " of " + std::to_string(config.layers), "0: all"});
  if (layers > 0) config.layers = layers;
  config.kinds.resize(static_cast<size_t>(config.layers));
  return config;
}

}  // namespace cmc::stages
