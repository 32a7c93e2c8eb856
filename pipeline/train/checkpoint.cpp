#include "pipeline/train/checkpoint.hpp"

#include <charconv>
#include <cstdio>
#include <cstring>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"

namespace cmc::train {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-", best_weights = "best.f32";

fs::path folder_of(const fs::path& folder, int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  return folder / name;
}

// Step in a checkpoint's name, or -1 for any other name.
int64_t step_of(const fs::path& path) {
  const std::string name = path.filename().string();
  int64_t step = -1;
  if (!name.starts_with(prefix)) return -1;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, step);
  return error == std::errc() && rest == end && step >= 0 ? step : -1;
}

Json to_json(const StepReport& r) {
  return {r.step,        r.total,         r.epoch,         r.loss,    r.examples_loss, r.refusals_loss,
          r.retain_loss, r.learning_rate, r.gradient_norm, r.seconds, r.tokens,        r.labels};
}

StepReport report_of(const Json& values, const std::string& where) {
  if (!values.is_array() || values.size() != 12) throw_bad_field(where, "reports", "has an entry that is no step");
  return {values[0], values[1], values[2], values[3], values[4],  values[5],
          values[6], values[7], values[8], values[9], values[10], values[11]};
}

Json to_json(const HeldOutLoss& h) {
  return {h.step, h.loss, h.examples_loss, h.refusals_loss, h.retain_loss};
}

HeldOutLoss held_out_of(const Json& values, const std::string& where) {
  if (!values.is_array() || values.size() != 5)
    throw_bad_field(where, "held_out", "has an entry that is no evaluation");
  return {values[0], values[1], values[2], values[3], values[4]};
}

std::string bytes_of(torch::Tensor flat) {
  flat = flat.cpu().contiguous();
  return {static_cast<const char*>(flat.data_ptr()), static_cast<size_t>(flat.nbytes())};
}

torch::Tensor floats(const std::string& bytes, size_t first, int64_t count) {
  torch::Tensor values = torch::empty({count}, torch::kFloat32);
  std::memcpy(values.data_ptr(), bytes.data() + first, static_cast<size_t>(count) * sizeof(float));
  return values;
}

void check_hash(const fs::path& file, const Json& state, const std::string& key, const std::string& where) {
  if (sha256_file(file) != json_field<std::string>(state, key, where)) {
    throw BadData({file.string(), "is not what was written (its SHA-256 differs)", "remove the checkpoint's folder"});
  }
}

std::string read_floats(const fs::path& file, int64_t count) {
  std::string bytes = read_file(file);
  if (bytes.size() != static_cast<size_t>(count) * sizeof(float)) {
    throw BadData(
        {file.string(), "has another length than the model's weights ask for", "remove the checkpoint's folder"});
  }
  return bytes;
}

void restore_moments(const fs::path& file, int64_t steps, AdamW& optimizer) {
  const int64_t count = optimizer.first_moment().flat().numel();
  const std::string bytes = read_floats(file, 2 * count);
  optimizer.restore(floats(bytes, 0, count), floats(bytes, bytes.size() / 2, count), steps);
}

void remove_older(const fs::path& folder, int64_t step) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const int64_t found = step_of(entry.path());
    std::error_code ignored;  // an old checkpoint that stays does no harm
    if (found >= 0 && found < step) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void write_checkpoint(const fs::path& folder, const TrainingState& state, const model::DecoderModel& model,
                      AdamW& optimizer) {
  create_folder(folder);
  publish_folder(folder_of(folder, state.step), [&](const fs::path& temporary) {
    create_folder(temporary / "model");
    model.save(temporary / "model");
    publish_file(temporary / "moments.f32",
                 bytes_of(optimizer.first_moment().flat()) + bytes_of(optimizer.second_moment().flat()));
    Json json = {{"step", state.step},
                 {"identity", state.identity},
                 {"optimizer_steps", optimizer.steps()},
                 {"weights_sha256", sha256_file(temporary / "model" / model.weights_file())},
                 {"moments_sha256", sha256_file(temporary / "moments.f32")},
                 {"reports", Json::array()}};
    for (const StepReport& report : state.history.steps) json["reports"].push_back(to_json(report));
    for (const HeldOutLoss& loss : state.history.held_out) json["held_out"].push_back(to_json(loss));
    if (state.best.defined()) {
      publish_file(temporary / best_weights, bytes_of(state.best));
      json["best_sha256"] = sha256_file(temporary / best_weights);
    }
    publish_file(temporary / "state.json", json.dump());
  });
  remove_older(folder, state.step);
}

int64_t newest_checkpoint(const fs::path& folder) {
  int64_t newest = -1;
  if (!fs::is_directory(folder)) return newest;
  for (const auto& entry : fs::directory_iterator(folder)) newest = std::max(newest, step_of(entry.path()));
  return newest;
}

TrainingState read_checkpoint(const fs::path& folder, int64_t step, const std::string& identity,
                              model::DecoderModel& model, AdamW& optimizer) {
  const fs::path checkpoint = folder_of(folder, step);
  const std::string where = (checkpoint / "state.json").string();
  const Json json = read_json(checkpoint / "state.json");
  TrainingState state;
  state.step = json_field<int64_t>(json, "step", where);
  state.identity = json_field<std::string>(json, "identity", where);
  if (state.identity != identity) {
    throw BadData({checkpoint.string(), "belongs to a training with other settings, data or models",
                   "give another checkpoint folder, or remove this one"});
  }
  check_hash(checkpoint / "model" / model.weights_file(), json, "weights_sha256", where);
  check_hash(checkpoint / "moments.f32", json, "moments_sha256", where);
  for (const Json& report : json_field<Json>(json, "reports", where))
    state.history.steps.push_back(report_of(report, where));
  for (const Json& loss : json.value("held_out", Json::array()))
    state.history.held_out.push_back(held_out_of(loss, where));
  if (std::ssize(state.history.steps) != state.step)
    throw_bad_field(where, "reports", "does not have one entry per step");
  if (json.contains("best_sha256")) {
    check_hash(checkpoint / best_weights, json, "best_sha256", where);
    const int64_t count = optimizer.first_moment().flat().numel();
    state.best = floats(read_floats(checkpoint / best_weights, count), 0, count);
  }
  model.restore(checkpoint / "model");
  restore_moments(checkpoint / "moments.f32", json_field<int64_t>(json, "optimizer_steps", where), optimizer);
  return state;
}

void remove_checkpoints(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) throw IoError({folder.string(), "cannot be removed: " + error.message(), "remove it by hand"});
}

}  // namespace cmc::train
