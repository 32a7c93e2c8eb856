// Drives the checkpoint layer for tests/checkpoint/*.py: one JSON request a line, one JSON answer a line.
//   {"op": "config", "folder": DIR}   the ModelConfig's fields      {"op": "parse", "config": {…}}   the same
//   {"op": "tensors", "folder": DIR, "out": FILE}   every tensor of the folder, written again
//   {"op": "identity", "folder": DIR}
//   {"op": "ends", "folder": DIR}   {tensor: [how many numbers, the last]}
#include <torch/types.h>

#include <iostream>

#include "pipeline/checkpoint/identity.hpp"
#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/checkpoint/safetensors_writer.hpp"
#include "pipeline/checkpoint/weight_files.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"

namespace {

using namespace cmc::checkpoint;
using cmc::Json;

Json rope_facts(const Rope& rope) {
  const RopeScaling& s = rope.scaling;
  return {{"theta", rope.theta},
          {"kind", static_cast<int>(s.kind)},
          {"factor", s.factor},
          {"low", s.low_frequency_factor},
          {"high", s.high_frequency_factor},
          {"original", s.original_positions},
          {"attention_factor", s.attention_factor}};
}

Json facts(const ModelConfig& c) {
  std::vector<bool> sliding;
  for (const LayerKind& kind : c.kinds) sliding.push_back(kind.sliding);
  return {{"architecture", c.architecture},
          {"vocabulary", c.vocabulary},
          {"hidden", c.hidden},
          {"layers", c.layers},
          {"intermediate", c.intermediate},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"window", c.window},
          {"sliding", sliding},
          {"tied", c.tied_output},
          {"begin", c.begin_token},
          {"ends", c.end_tokens},
          {"attention_scale", c.attention_scale},
          {"final_softcap", c.final_softcap},
          {"max_positions", c.max_positions},
          {"rope", rope_facts(c.rope)},
          {"local_rope", rope_facts(c.local_rope)}};
}

Json answer(const Json& request) {
  const std::string op = request.at("op");
  if (op == "parse") return facts(parse_model_config(request.at("config"), "config.json"));
  const std::filesystem::path folder = request.at("folder").get<std::string>();
  if (op == "config") return facts(read_model_config(folder));
  if (op == "identity") return {{"identity", content_identity(folder)}};
  if (op == "tensors") {
    const WeightFiles files(folder);
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    for (const std::string& name : files.names()) tensors.emplace_back(name, files.view(name));
    write_safetensors(request.at("out").get<std::string>(), tensors);
    return {{"names", files.names()}};
  }
  if (op == "ends") {
    const WeightFiles files(folder);
    Json ends = Json::object();
    for (const std::string& name : files.names()) {
      const torch::Tensor tensor = files.view(name);
      ends[name] = {tensor.numel(), tensor.view(-1)[-1].item<double>()};
    }
    return ends;
  }
  throw cmc::Usage({"probe_checkpoint", "unknown op " + op, ""});
}

}  // namespace

int main() {
  cmc::start_log({});  // stdout is for answers
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      std::cout << answer(Json::parse(line)).dump() << std::endl;
    } catch (const cmc::Error& error) {
      std::cout << Json({{"error", error.what()}, {"code", static_cast<int>(error.code())}}).dump() << std::endl;
    }
  }
}
