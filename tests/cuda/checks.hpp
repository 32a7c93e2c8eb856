#pragma once
#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/model/decoder_model.hpp"

namespace cmc::device_checks {

using Shared = std::shared_ptr<const model::DecoderModel>;

// One comparison of the device with the CPU: `worst` is the largest difference, of which `allowed` passes.
void report(const std::string& name, double worst, double allowed, const Json& more = Json::object());
// Runs one check; what it throws is a failed check of that name.
void guarded(const std::string& name, const std::function<void()>& check);
// Whether every check so far has passed, and there was one.
bool all_passed();

// Random models of some thousand parameters, the same weights on every device.
Json llama_config(int64_t vocabulary, int64_t hidden, int64_t layers, int64_t heads, int64_t kv_heads,
                  int64_t intermediate, double range);
Shared make_model(const Json& config, torch::Dtype dtype, torch::Device device);
// Every kind of attention there is: grouped heads, windows, soft-caps. By name.
std::vector<std::pair<std::string, std::function<Shared(torch::Dtype, torch::Device)>>> all_kinds();

std::vector<int64_t> some_tokens(int64_t count, int64_t vocabulary, uint64_t seed);

// The groups of checks (probe.cpp names them).
void check_logits(torch::Device device);
void check_fusion(torch::Device device);
void check_texts(torch::Device device);
void check_scores(torch::Device device);
void check_training(torch::Device device);

}  // namespace cmc::device_checks
