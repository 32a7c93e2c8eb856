// Drives the model layer for tests/model/*.py. One JSON request a line on stdin, one JSON answer a line on stdout;
// tensors travel as safetensors files.
//   {"op": "run", "model": DIR, "calls": [{"spans": [[slot, [tokens…]], …], "positions": [...], "tree_mask": [[...]],
//     "truncate": [[slot, length], …]}], "slots": n, "capacity": n, "out": FILE}   logits of every call, tensor "0",
//     "1", …
//   slots 0: no cache
//   {"op": "greedy", "model": DIR, "prompts": [[tokens…], …], "new": n, "batch": b}    {"ids": [[…]], "seconds",
//   "tokens"}
//   {"op": "gradient", "model": DIR, "sequences": [[tokens…], …], "out": FILE}          mean next-token loss, all
//   gradients
//   {"op": "save", "model": DIR, "folder": DIR}      {"op": "random", "config": DIR, "seed": n, "folder": DIR}
//   {"op": "held", "model": DIR}          {"bytes": of the parameters in memory, "seconds": to load it}; "part":
//   [index, size] of it alone
//   With a file of requests as its argument it may run under mpirun: each rank answers. Then "split": true splits the
//   model over the ranks, and "out" gets ".RANK" appended.
//   Wherever "model" is read: "adapters": DIR of peft, or {"rank", "alpha", "dropout", "targets", "seed"} of new ones;
//   "merge": true adds them to the weights; "bits": n rounds the layers to integers of n bits
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <chrono>
#include <fstream>
#include <iostream>

#include "pipeline/checkpoint/safetensors_writer.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/model/decoder_model.hpp"
#include "pipeline/model/lora.hpp"

namespace {

using cmc::Json;
using cmc::model::DecoderModel;
using cmc::model::KvCache;
using cmc::model::ModelInput;

torch::Tensor tokens_of(const std::vector<int64_t>& tokens) {
  return torch::tensor(tokens, torch::kInt64);
}

std::map<int, cmc::model::TensorGroup> groups;  // all ranks, by the number of their blocks
std::string out_suffix;                         // tells their files apart

const cmc::model::TensorGroup& group_of(const Json& request) {
  return groups.at(request.value("blocks", 1));
}

// "part": [index, size] without a group, to load it alone.
cmc::model::TensorRank part_of(const Json& request) {
  if (!request.contains("part")) return {};
  return {request.at("part").at(0), request.at("part").at(1)};
}

DecoderModel load(const Json& request) {
  const cmc::model::TensorGroup& group = group_of(request);
  const std::string type = request.value("dtype", "float32");
  const std::string folder = request.at("model");
  const torch::Dtype dtype = type == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
  const Json adapters = request.value("adapters", Json());
  const bool merge = request.value("merge", false), split = request.value("split", false);
  if (merge && adapters.is_string() && !split)
    return DecoderModel::load_merged(folder, adapters.get<std::string>(), dtype, torch::kCPU);
  DecoderModel model = DecoderModel::load(folder, dtype, torch::kCPU, split ? group.tensor_rank() : part_of(request));
  if (adapters.is_string()) model = model.with_adapters(std::filesystem::path(adapters.get<std::string>()));
  if (adapters.is_object()) {
    model = model.with_adapters({.rank = adapters.at("rank"),
                                 .alpha = adapters.at("alpha"),
                                 .dropout = adapters.at("dropout"),
                                 .targets = adapters.at("targets")},
                                adapters.at("seed"));
  }
  if (merge) model = model.merged();
  if (split) model = model.over(group);
  if (request.contains("bits")) model = std::move(model).rounded(request.at("bits"));
  if (request.value("gradients", false)) model.require_gradients(true);
  return model;
}

ModelInput input_of(const Json& call) {
  ModelInput input;
  std::vector<int64_t> packed;
  for (const Json& span : call.at("spans")) {
    const auto tokens = span.at(1).get<std::vector<int64_t>>();
    input.spans.push_back({span.at(0).get<int64_t>(), static_cast<int64_t>(tokens.size())});
    packed.insert(packed.end(), tokens.begin(), tokens.end());
  }
  input.tokens = tokens_of(packed);
  if (call.contains("positions")) input.positions = tokens_of(call.at("positions").get<std::vector<int64_t>>());
  if (call.contains("tree_mask")) {
    const auto rows = call.at("tree_mask").get<std::vector<std::vector<int>>>();
    std::vector<int64_t> flat;
    for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
    input.tree_mask = tokens_of(flat).view({static_cast<int64_t>(rows.size()), -1}).to(torch::kBool);
  }
  return input;
}

Json run(const Json& request) {
  const DecoderModel model = load(request);
  const torch::AutoGradMode gradients(request.value("gradients", false));
  const int64_t slots = request.value("slots", 0);
  std::unique_ptr<KvCache> cache;
  if (slots > 0) {
    cache = std::make_unique<KvCache>(model.make_cache(slots, request.at("capacity").get<int64_t>()));
  }
  std::vector<std::pair<std::string, torch::Tensor>> results;
  for (const Json& call : request.at("calls")) {
    for (const Json& cut : call.value("truncate", Json::array())) cache->truncate(cut.at(0), cut.at(1));
    const torch::Tensor logits = model.logits(model.hidden(input_of(call), cache.get()));
    results.emplace_back(std::to_string(results.size()), logits.detach());
  }
  cmc::checkpoint::write_safetensors(request.at("out").get<std::string>() + out_suffix, results);
  return {{"calls", results.size()}};
}

// Vanilla batched greedy decoding: prompts in groups of `batch`, each group until all its rows have `new` tokens.
Json greedy(const Json& request) {
  const torch::InferenceMode inference;
  const DecoderModel model = load(request);
  const auto prompts = request.at("prompts").get<std::vector<std::vector<int64_t>>>();
  const int64_t fresh = request.at("new"), batch = request.value("batch", 1);
  int64_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max<int64_t>(longest, static_cast<int64_t>(prompt.size()));
  std::vector<std::vector<int64_t>> ids(prompts.size());
  double prefill = 0, decode = 0;
  KvCache cache = model.make_cache(batch, longest + fresh);
  for (size_t begin = 0; begin < prompts.size(); begin += static_cast<size_t>(batch)) {
    const size_t end = std::min(prompts.size(), begin + static_cast<size_t>(batch));
    ModelInput input;
    std::vector<int64_t> packed, last;
    for (size_t i = begin; i < end; ++i) {
      cache.truncate(static_cast<int64_t>(i - begin), 0);
      packed.insert(packed.end(), prompts[i].begin(), prompts[i].end());
      input.spans.push_back({static_cast<int64_t>(i - begin), static_cast<int64_t>(prompts[i].size())});
      last.push_back(static_cast<int64_t>(packed.size()) - 1);
    }
    input.tokens = tokens_of(packed);
    auto start = std::chrono::steady_clock::now();
    torch::Tensor next = model.logits(model.hidden(input, &cache).index_select(0, tokens_of(last))).argmax(-1);
    prefill += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    start = std::chrono::steady_clock::now();
    for (auto& span : input.spans) span.tokens = 1;
    for (int64_t step = 0;; ++step) {
      for (size_t i = begin; i < end; ++i) ids[i].push_back(next[static_cast<int64_t>(i - begin)].item<int64_t>());
      if (step + 1 == fresh) break;
      input.tokens = next;
      next = model.logits(model.hidden(input, &cache)).argmax(-1);
    }
    decode += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return {{"ids", ids},
          {"prefill_seconds", prefill},
          {"decode_seconds", decode},
          {"tokens", prompts.size() * static_cast<size_t>(fresh)},
          {"threads", torch::get_num_threads()}};
}

Json gradient(const Json& request) {
  DecoderModel model = load(request);
  model.require_gradients(true);
  ModelInput input;
  std::vector<int64_t> packed, rows, targets;
  for (const auto& sequence : request.at("sequences").get<std::vector<std::vector<int64_t>>>()) {
    input.spans.push_back({0, static_cast<int64_t>(sequence.size())});
    for (size_t i = 0; i + 1 < sequence.size(); ++i) {
      rows.push_back(static_cast<int64_t>(packed.size() + i));
      targets.push_back(sequence[i + 1]);
    }
    packed.insert(packed.end(), sequence.begin(), sequence.end());
  }
  input.tokens = tokens_of(packed);
  input.recompute_layers = request.value("recompute", false);
  const torch::Tensor logits = model.logits(model.hidden(input, nullptr).index_select(0, tokens_of(rows)));
  const torch::Tensor loss = torch::cross_entropy_loss(logits, tokens_of(targets));
  loss.backward();
  std::vector<torch::Tensor> gradients;
  for (const auto& [name, tensor] : model.trainable())
    gradients.push_back(tensor.grad().defined() ? tensor.grad() : torch::zeros_like(tensor));
  cmc::checkpoint::write_safetensors(request.at("out").get<std::string>(), model.trained_parts().as_stored(gradients));
  return {{"loss", loss.item<double>()}};
}

Json held(const Json& request) {
  const auto start = std::chrono::steady_clock::now();
  const DecoderModel model = load(request);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  size_t bytes = 0;
  for (const auto& [name, tensor] : model.parameters()) bytes += tensor.nbytes();
  return {{"bytes", bytes}, {"rank", group_of(request).tensor_rank().index}, {"seconds", seconds}};
}

Json random(const Json& request) {
  const auto config = cmc::checkpoint::read_model_config(request.at("config").get<std::string>());
  const DecoderModel model = DecoderModel::random(config, request.at("seed"), torch::kFloat32, torch::kCPU);
  model.save(request.at("folder").get<std::string>());
  return {{"parameters", model.parameter_count()}};
}

Json answer(const Json& request) {
  const std::string op = request.at("op");
  if (op == "run") return run(request);
  if (op == "greedy") return greedy(request);
  if (op == "gradient") return gradient(request);
  if (op == "held") return held(request);
  if (op == "random") return random(request);
  if (op == "save") {
    load(request).save(request.at("folder").get<std::string>());
    return Json::object();
  }
  throw cmc::Usage({"probe_model", "unknown op " + op, ""});
}

}  // namespace

int main(int argc, char** argv) {
  cmc::start_log({});  // stdout is for answers
  cmc::distributed::Session session(argc, argv);
  const auto& world = session.world();
  for (const int blocks : {1, 2, 3})  // each collective
    if (world.size() % blocks == 0) groups.emplace(blocks, cmc::model::TensorGroup(world, torch::kCPU, blocks));
  if (world.size() > 1) out_suffix = std::string(".").append(std::to_string(world.rank()));
  std::ifstream file;
  if (argc > 1) file.open(argv[1]);
  std::string line;
  while (std::getline(argc > 1 ? file : std::cin, line)) {
    try {
      std::cout << answer(Json::parse(line)).dump() << std::endl;
    } catch (const cmc::Error& error) {
      std::cout << Json({{"error", error.what()}, {"code", static_cast<int>(error.code())}}).dump() << std::endl;
    }
  }
}
