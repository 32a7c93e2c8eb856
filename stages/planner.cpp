#include "stages/planner.hpp"

#include <algorithm>

#include "pipeline/checkpoint/identity.hpp"
#include "pipeline/checkpoint/weight_files.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/token_map/token_map.hpp"
#include "stages/stage.hpp"

namespace cmc::stages {

namespace {

// Every header of the weights, so that a damaged model is met before the first task and not hours later.
std::string checked_identity(const std::filesystem::path& folder) {
  checkpoint::read_model_config(folder);
  checkpoint::WeightFiles headers(folder);
  return checkpoint::content_identity(folder);
}

}  // namespace

Json Planner::model(const std::string& name) {
  if (const auto known = models_.find(name); known != models_.end()) return known->second;
  const auto folder = experiment_.path("model." + name + ".path");
  const std::string identity = checked_identity(folder);
  places_.emplace(identity, folder.string());
  return models_[name] = {{"name", name}, {"identity", identity}};
}

Json Planner::delta(const std::string& name) {
  const auto folder = experiment_.path("delta." + name + ".path");
  const auto vocabulary = checkpoint::read_model_config(folder).vocabulary;
  const auto& config = this->config(experiment_.text("models.template"));
  if (vocabulary != config.vocabulary)
    throw BadData({folder.string(), "has a vocabulary of " + std::to_string(vocabulary) + " tokens, the template one of " +
                       std::to_string(config.vocabulary), "a delta must share the template's vocabulary"});
  const std::string identity = checked_identity(folder);
  places_.emplace(identity, folder.string());
  return {{"name", name}, {"identity", identity}};
}

Json Planner::prepared(const std::string& name) {
  const std::string key = find("prepare", name);
  return key.empty() ? model(name) : made_by(name, key);
}

Json Planner::file(const std::filesystem::path& path) {
  auto& known = files_[path.string()];
  if (known.is_null()) {
    const std::string content = sha256_file(path);
    places_.emplace(content, path.string());
    known = {{"file", path.filename().string()}, {"sha256", content}};
  }
  return known;
}

const checkpoint::ModelConfig& Planner::config(const std::string& name) {
  if (!configs_.contains(name))
    configs_.emplace(name, checkpoint::read_model_config(experiment_.path("model." + name + ".path")));
  return configs_.at(name);
}

const text::Tokenizer& Planner::tokenizer(const std::string& name) {
  auto& tokenizer = tokenizers_[name];
  if (!tokenizer) {
    const auto folder = experiment_.path("model." + name + ".path");
    tokenizer = text::load_tokenizer(folder);
    if (tokenizer->size() > config(name).vocabulary)
      throw BadData({folder.string(), "the tokenizer has " + std::to_string(tokenizer->size()) + " tokens, the model " +
                         std::to_string(config(name).vocabulary), "use the tokenizer that belongs to the model"});
  }
  return *tokenizer;
}

bool Planner::shares_template_vocabulary(const std::string& name) {
  const std::string template_name = experiment_.text("models.template");
  if (const auto known = shares_.find(name); known != shares_.end()) return known->second;
  const bool same = name == template_name || token_map::same_vocabulary(tokenizer(name), tokenizer(template_name));
  return shares_[name] = same;
}

std::string Planner::add(dist::Task task) {
  std::ranges::sort(task.inputs);
  task.key = dist::task_key(task.stage, task.parameters, task.inputs);
  const std::string key = task.key;
  plan_.tasks.push_back(std::move(task));
  return key;
}

void Planner::remember(const std::string& purpose, const std::string& name, const std::string& key) {
  remembered_[{purpose, name}] = key;
}

std::string Planner::find(const std::string& purpose, const std::string& name) const {
  const auto found = remembered_.find({purpose, name});
  return found == remembered_.end() ? "" : found->second;
}

namespace {

// `only` and everything it needs.
void keep_stages(dist::Plan& plan, const std::vector<std::string>& only) {
  std::map<std::string, bool> wanted;
  for (auto task = plan.tasks.rbegin(); task != plan.tasks.rend(); ++task) {
    bool& keep = wanted[task->key];
    keep = keep || std::ranges::count(only, task->stage);
    if (keep)
      for (const auto& input : task->inputs) wanted[input] = true;
  }
  std::erase_if(plan.tasks, [&](const dist::Task& task) { return !wanted[task.key]; });
}

}  // namespace

ExperimentPlan plan_experiment(const Experiment& experiment, const std::vector<std::string>& only_stages) {
  for (const auto& name : only_stages)
    if (std::ranges::none_of(stages(), [&](const Stage& stage) { return stage.name == name; })) {
      std::string known;
      for (const auto& stage : stages()) known += (known.empty() ? "" : ", ") + std::string(stage.name);
      throw Usage({"--only " + name, "is not a stage", "known: " + known});
    }
  Planner planner(experiment);
  for (const auto& stage : stages()) stage.plan(planner);
  dist::Plan plan = planner.take();
  if (!only_stages.empty()) keep_stages(plan, only_stages);
  dist::check(plan);
  return {std::move(plan), planner.places()};
}

double parameter_count(const checkpoint::ModelConfig& c) {
  const double attention = static_cast<double>(c.hidden * c.head_dim * (2 * c.heads + 2 * c.kv_heads));
  const double mlp = 3.0 * static_cast<double>(c.hidden * c.intermediate);
  const double embedding = static_cast<double>(c.vocabulary * c.hidden);
  return static_cast<double>(c.layers) * (attention + mlp) + embedding * (c.tied_output ? 1 : 2);
}

double forward_seconds(double parameters, double tokens) { return 2 * parameters * tokens / 50e9; }

}  // namespace cmc::stages
