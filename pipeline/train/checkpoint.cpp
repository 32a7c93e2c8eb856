#include "pipeline/train/checkpoint.hpp"

#include <charconv>
#include <cstdio>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/train/held_out.hpp"

namespace cmc::train {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-", moments_file = "moments.safetensors", best_file = "best.safetensors",
                           first_moment = "first.", second_moment = "second.";

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

void check_hash(const fs::path& file, const Json& state, const std::string& key, const std::string& where) {
  if (sha256_file(file) != json_field<std::string>(state, key, where)) {
    throw BadData({file.string(), "is not what was written (its SHA-256 differs)", "remove the checkpoint's folder"});
  }
}

void remove_older(const fs::path& folder, int64_t step) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const int64_t found = step_of(entry.path());
    std::error_code ignored;  // an old checkpoint that stays does no harm
    if (found >= 0 && found < step) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

SavedTraining saved_training(const TrainingState& state, const model::DecoderModel& model, AdamW& optimizer) {
  const model::TrainedParts parts = model.trained_parts();
  SavedTraining saved{model.saved(), {}, {}, optimizer.steps()};
  for (auto [name, moment] :
       {std::pair(first_moment, &optimizer.first_moment()), {second_moment, &optimizer.second_moment()}})
    for (auto& [weight, values] : parts.as_stored(moment->views()))
      saved.moments.emplace_back(std::string(name) + weight, values);
  if (!state.best.empty()) saved.best = parts.as_stored(state.best);
  return saved;
}

void write_checkpoint(const fs::path& folder, const TrainingState& state, const SavedTraining& saved) {
  create_folder(folder);
  publish_folder(folder_of(folder, state.step), [&](const fs::path& temporary) {
    create_folder(temporary / "model");
    saved.model.write(temporary / "model");
    model::write_tensors(temporary / moments_file, saved.moments);
    Json json = {{"step", state.step},
                 {"identity", state.identity},
                 {"optimizer_steps", saved.optimizer_steps},
                 {"weights_sha256", sha256_file(temporary / "model" / saved.model.weights_file)},
                 {"moments_sha256", sha256_file(temporary / moments_file)},
                 {"reports", Json::array()}};
    for (const StepReport& report : state.history.steps) json["reports"].push_back(to_json(report));
    for (const HeldOutLoss& loss : state.history.held_out) json["held_out"].push_back(to_json(loss));
    if (!saved.best.empty()) {
      model::write_tensors(temporary / best_file, saved.best);
      json["best_sha256"] = sha256_file(temporary / best_file);
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
  const fs::path found = folder_of(folder, step);
  const std::string where = (found / "state.json").string();
  const Json json = read_json(found / "state.json");
  TrainingState state;
  state.step = json_field<int64_t>(json, "step", where);
  state.identity = json_field<std::string>(json, "identity", where);
  if (state.identity != identity) {
    throw BadData({found.string(), "belongs to a training with other settings, data or models",
                   "give another checkpoint folder, or remove this one"});
  }
  if (!fs::exists(found / moments_file))
    throw BadData({found.string(), "is a checkpoint of an older program", "remove it: the training starts anew"});
  check_hash(found / "model" / model.weights_file(), json, "weights_sha256", where);
  check_hash(found / moments_file, json, "moments_sha256", where);
  for (const Json& report : json_field<Json>(json, "reports", where))
    state.history.steps.push_back(report_of(report, where));
  for (const Json& loss : json.value("held_out", Json::array()))
    state.history.held_out.push_back(held_out_of(loss, where));
  if (std::ssize(state.history.steps) != state.step)
    throw_bad_field(where, "reports", "does not have one entry per step");
  const auto take = [&](std::string_view file, std::string_view names, const std::vector<torch::Tensor>& values) {
    model.take_stored(found / file, std::string(names), values);
  };
  if (json.contains("best_sha256")) {
    check_hash(found / best_file, json, "best_sha256", where);
    state.best = copy_weights(model);
    take(best_file, "", state.best);
  }
  model.restore(found / "model");
  take(moments_file, first_moment, optimizer.first_moment().views());
  take(moments_file, second_moment, optimizer.second_moment().views());
  optimizer.go_on_behind(json_field<int64_t>(json, "optimizer_steps", where));
  return state;
}

void remove_checkpoints(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) throw IoError({folder.string(), "cannot be removed: " + error.message(), "remove it by hand"});
}

}  // namespace cmc::train
