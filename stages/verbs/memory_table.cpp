#include "stages/verbs/memory_table.hpp"

#include <algorithm>

namespace cmc::stages {
namespace {

std::string shown_bytes(int64_t bytes) {
  return bytes == 0 ? "–" : gibibytes(bytes);
}

// A dash is one character of three bytes.
std::string right(const std::string& text, size_t width) {
  const size_t shown = text == "–" ? 1 : text.size();
  return std::string(width > shown ? width - shown : 0, ' ') + text;
}

// As set: of blocks "4 x 2".
std::string ranks_of(const SizedModel& sized) {
  const std::string ranks = std::to_string(sized.tensor_parallel);
  return sized.pipeline_parallel == 1 ? ranks : ranks + " x " + std::to_string(sized.pipeline_parallel);
}

std::string devices_of(const Need& need, int64_t device_bytes) {
  if (need.bytes == 0 || device_bytes == 0) return "–";
  return need.devices == 0 ? "none fit" : std::to_string(need.devices);
}

Json json_of(const Need& need) {
  if (need.bytes == 0) return nullptr;
  return {{"bytes", need.bytes}, {"devices", need.devices == 0 ? Json() : Json(need.devices)}};
}

}  // namespace

std::string memory_table(const std::vector<ModelNeed>& needs, int64_t device_bytes) {
  if (needs.empty()) return "";
  size_t widest = std::string("model").size();
  for (const auto& need : needs) widest = std::max(widest, need.model.size());
  std::string text = "\nmemory in GiB, of the largest task on each rank" +
                     (device_bytes > 0 ? ", on devices of " + gibibytes(device_bytes) + " GiB" : std::string()) + ":\n";
  const auto line = [&](const std::string& model, const std::vector<std::string>& cells) {
    text += "  " + model + std::string(widest - model.size(), ' ');
    for (const auto& cell : cells) text += right(cell, 17);
    text += "\n";
  };
  line("model", {"weights", "tensor_parallel", "evaluated", "devices it needs", "trained", "devices it needs"});
  for (const auto& need : needs)
    line(need.model, {shown_bytes(need.sized.weights), ranks_of(need.sized), shown_bytes(need.evaluated.bytes),
                      devices_of(need.evaluated, device_bytes), shown_bytes(need.trained.bytes),
                      devices_of(need.trained, device_bytes)});
  return text;
}

Json memory_json(const std::vector<ModelNeed>& needs) {
  Json models = Json::array();
  for (const auto& need : needs)
    models.push_back({{"model", need.model},
                      {"weights", need.sized.weights},
                      {"heads", need.sized.heads},
                      {"tensor_parallel", need.sized.tensor_parallel},
                      {"pipeline_parallel", need.sized.pipeline_parallel},
                      {"evaluated", json_of(need.evaluated)},
                      {"trained", json_of(need.trained)}});
  return models;
}

}  // namespace cmc::stages
