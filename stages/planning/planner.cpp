#include "stages/planning/planner.hpp"

#include <algorithm>
#include <utility>

#include "pipeline/checkpoint/identity.hpp"
#include "pipeline/checkpoint/linear_layers.hpp"
#include "pipeline/checkpoint/weight_files.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/model_files.hpp"
#include "pipeline/data/published.hpp"
#include "pipeline/text/chat_template.hpp"
#include "pipeline/token_map/token_map.hpp"
#include "stages/planning/assumed_model.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/made_models.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/stage.hpp"

namespace cmc::stages {

namespace {

// Every header of the weights, so that a damaged model is met before the first task and not hours later.
std::string checked_identity(const std::filesystem::path& folder) {
  checkpoint::read_model_config(folder);
  checkpoint::WeightFiles headers(folder);
  return checkpoint::content_identity(folder);
}

AbsentInput absent_file(const std::filesystem::path& path) {
  const auto known = data::published(path);
  if (!known) return {AbsentInput::Kind::data, path.string(), "what it holds is not known", 0};
  return {AbsentInput::Kind::data, path.string(), std::to_string(known->items) + " items", known->bytes};
}

}  // namespace

records::ModelReference Planner::folder(const std::string& name, const std::filesystem::path& path,
                                        const std::string& identity) {
  places_.emplace(identity, path.string());
  return records::ModelReference::folder(name, identity);
}

records::ModelReference Planner::model(const std::string& name) {
  if (const auto known = models_.find(name); known != models_.end()) return known->second;
  if (const auto key = find("pretrain", "model." + name); !key.empty()) return records::ModelReference::made(name, key);
  const auto& path = experiment_.given(experiment_.model.at(name).path);
  return models_[name] = folder(name, path,
                                absent_.read_or([&] { return checked_identity(path); },
                                                [&] { return absent_.identity_of(absent_model(path, config(name))); }));
}

bool Planner::is_absent(const std::string& name) {
  const auto& folder = experiment_.model.at(name).path;
  model(name);
  return absent_.by_path().contains(folder.string());
}

records::TokenizerReference Planner::tokenizer_files(const std::string& name) {
  const auto& path = experiment_.given(experiment_.model.at(name).tokenizer);
  std::string content;
  for (const char* file : tokenizer_file_names)
    if (std::filesystem::exists(path / file)) content += std::string(file) + " " + sha256_file(path / file) + "\n";
  if (content.empty())
    throw MissingInput(
        {path.string(), "holds neither tokenizer.json nor tokenizer.model", "set model." + name + ".tokenizer"});
  const std::string identity = sha256(content);
  places_.emplace(identity, path.string());
  return {name, identity};
}

records::ModelReference Planner::delta(const std::string& delta_name, const std::string& template_name) {
  const std::string& name = experiment_.start_of(delta_name);
  const sections::Delta& settings = experiment_.delta.at(name);
  const auto& path = settings.path;
  if (const auto key = find("pretrain", "delta." + name); !key.empty()) return records::ModelReference::made(name, key);
  if (path.empty()) return records::ModelReference::random(name, made_llama(settings.sizes, Output::embedding));
  const auto identity = [&] {
    const auto vocabulary = checkpoint::read_model_config(path).vocabulary;
    const auto& config = this->config(template_name);
    if (vocabulary != config.vocabulary)
      throw BadData({path.string(),
                     "has a vocabulary of " + std::to_string(vocabulary) + " tokens, the template one of " +
                         std::to_string(config.vocabulary),
                     "a delta must share the template's vocabulary"});
    return checked_identity(path);
  };
  return folder(name, path, absent_.read_or(identity, [&] {
    const auto* shape = shape_of_folder(path);
    return absent_.identity_of(absent_model(path, shape ? std::optional(shape->config) : std::nullopt));
  }));
}

records::ModelReference Planner::fine_tuned(const std::string& purpose, const std::string& name,
                                            const records::ModelReference& base, bool lora) const {
  const std::string key = find(purpose, name);
  expect(!key.empty(), "a model is evaluated after the task that makes it was planned");
  return lora ? records::ModelReference::adapted(name, key, base) : records::ModelReference::made(name, key);
}

records::ModelReference Planner::prepared(const std::string& name) {
  if (find("prepare", name).empty()) return model(name);
  return fine_tuned("prepare", name, model(name), experiment_.prepare.method == records::Method::lora);
}

records::FileReference Planner::file(const std::filesystem::path& path) {
  auto& known = files_[path.string()];
  if (known.sha256.empty()) {
    const std::string content =
        absent_.read_or([&] { return sha256_file(path); }, [&] { return absent_.identity_of(absent_file(path)); });
    places_.emplace(content, path.string());
    known = {path.filename().string(), content};
  }
  return known;
}

records::Prompt Planner::prompt(const sections::Prompt& setting, const std::string& name,
                                const std::vector<std::string>& questions) {
  if (setting.style != text::name_of(text::PromptStyle::chat)) return given_prompt(setting);
  const auto known = chats_.find({name, questions.size()});
  if (known != chats_.end()) return known->second;
  if (is_absent(name)) return prompt_not_known_yet();
  const auto& folder = experiment_.given(prompt_folder(experiment_.model.at(name)));
  return chats_[{name, questions.size()}] = chat_prompt(folder, experiment_.about.date, questions);
}

bool Planner::has_chat_template(const std::string& name) {
  const auto& folder = prompt_folder(experiment_.model.at(name));
  return !folder.empty() && (is_absent(name) || text::has_chat_template(folder));
}

const checkpoint::ModelConfig& Planner::config(const std::string& name) {
  if (configs_.contains(name)) return configs_.at(name);
  const auto& model = experiment_.model.at(name);
  if (!model.path.empty()) {
    const auto read = [&] { return checkpoint::read_model_config(model.path); };
    return configs_.emplace(name, absent_.read_or(read, [&] { return assumed_config(experiment_, name); }))
        .first->second;
  }
  return configs_.emplace(name, config_of(made_llama(model.sizes, Output::own), load(name), "model." + name))
      .first->second;
}

const text::Tokenizer& Planner::load(const std::string& name) {
  auto& tokenizer = tokenizers_[name];
  const auto& model = experiment_.model.at(name);
  if (!tokenizer)
    tokenizer = text::load_tokenizer(model.path.empty() ? experiment_.given(model.tokenizer) : model.path);
  return *tokenizer;
}

const text::Tokenizer& Planner::tokenizer(const std::string& name) {
  const auto& tokenizer = load(name);
  text::expect_belongs(tokenizer, config(name).vocabulary, "model." + name);
  return tokenizer;
}

int32_t Planner::vocabulary_size(const std::string& name) {
  return absent_.read_or([&] { return tokenizer(name).size(); },
                         [&] { return static_cast<int32_t>(config(name).vocabulary); });
}

Planner::Split Planner::split(const std::string& name) {
  const auto& [model, config] = std::tie(experiment_.model.at(name), this->config(name));
  const int64_t ranks = model.tensor_parallel, heads = config.heads, blocks = model.pipeline_parallel;
  if (blocks > config.layers)
    experiment_.fail(
        "model." + name + ".pipeline_parallel",
        "is " + std::to_string(blocks) + ", but the model has " + std::to_string(config.layers) + " layers",
        "set no more");
  if (ranks > 0 && heads % ranks == 0) return {static_cast<int>(ranks), static_cast<int>(blocks)};
  std::string fitting;
  for (int64_t size = 1; size <= heads; ++size)
    if (heads % size == 0) fitting += (fitting.empty() ? "" : ", ") + std::to_string(size);
  experiment_.fail("model." + name + ".tensor_parallel",
                   "is " + std::to_string(ranks) + ", but the model has " + std::to_string(heads) + " attention heads",
                   "set one of " + fitting);
}

void Planner::hold_together(distributed::Task& task, const std::string& name) {
  const Split split = this->split(name);
  task.tensor_parallel = split.tensor_parallel;
  task.pipeline_parallel = split.pipeline_parallel;
}

void Planner::deal_shares(distributed::Task& task, int64_t shares, const std::string& name) {
  hold_together(task, name);
  // A group that keeps its model loaded takes the shares one after the other.
  const bool stays = distributed::group_ranks(task) > 1 && !task.residency.empty();
  task.shares = stays ? 1 : static_cast<int>(shares);
}

void Planner::expect_linear_layers(const std::string& key, const std::vector<std::string>& modules,
                                   const std::string& name) {
  const auto known = checkpoint::linear_layers(config(name));
  std::string names;
  for (const auto& layer : known) names += (names.empty() ? "" : ", ") + layer;
  for (const auto& module : modules)
    if (!known.contains(module))
      experiment_.fail(key, "names " + module + ", no linear layer of " + name, "use of " + names);
}

void Planner::keeps(distributed::Task& task, const records::ModelReference& reference, const std::string& name) {
  needs(task, reference);
  task.residency = reference.identity();
  task.load_seconds = 1 + 4 * footprint_of(config(name)).weights() / distributed::group_ranks(task) /
                              500e6;  // float32 from disk at 500 MB/s
}

bool Planner::share_vocabulary(const std::string& name, const std::string& other) {
  if (name == other) return true;
  const auto pair = std::minmax(name, other);
  if (const auto known = shares_.find(pair); known != shares_.end()) return known->second;
  return shares_[pair] = absent_.read_or([&] { return token_map::same_vocabulary(tokenizer(name), tokenizer(other)); },
                                         [&] {
                                           const auto &a = config(name), &b = config(other);
                                           return a.model_type == b.model_type && a.vocabulary == b.vocabulary;
                                         });
}

void Planner::takes(distributed::Task& task, const std::string& name, const DeviceBytes& bytes, Held held) {
  const Split own = split(name);
  const int ranks = own.ranks() > 1 ? distributed::group_ranks(task) : 1;
  const checkpoint::ModelConfig& model = config(name);
  const double weights = footprint_of(model).weights() * static_cast<double>(computed_bytes(experiment_));
  devices_.models[name] = {static_cast<int64_t>(weights), model.heads, own.tensor_parallel, own.pipeline_parallel};
  held_.push_back({name, bytes, ranks, held});
  task.bytes += bytes.on(ranks);
}

void Planner::needs(distributed::Task& task, const records::ModelReference& reference) {
  reference.each_task([&](const std::string& key) { task.inputs.push_back(key); });
}

std::string Planner::add_filled(distributed::Task task) {
  expect(stage_ != nullptr, "a stage begins before its tasks are added");
  task.stage = stage_->name;
  task.revision = stage_->revision;
  if (stage_->runs == Stage::Runs::models) task.compute = name_of(compute_kind_of(experiment_));
  std::ranges::sort(task.inputs);
  task.inputs.erase(std::unique(task.inputs.begin(), task.inputs.end()), task.inputs.end());
  if (plans_for_gpus(experiment_)) task.seconds *= nominal_flops / nominal_gpu_flops;
  seeds_.fill(task, experiment_);
  const std::string key = task.key;
  if (!held_.empty()) devices_.held[key] = std::exchange(held_, {});
  if (absent_.are_in(task.parameters) ||
      std::ranges::any_of(task.inputs, [this](const std::string& input) { return is_provisional(input); }))
    provisional_.insert(key);
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

}  // namespace cmc::stages
