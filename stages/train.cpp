// The delta models: trained beside the frozen template, for instructions and for unlearning (paper, section 3).
#include "pipeline/data/alpaca.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "pipeline/train/delta.hpp"
#include "stages/planner.hpp"
#include "stages/stage.hpp"
#include "stages/tofu_data.hpp"
#include "stages/training.hpp"

namespace cmc::stages {
namespace {

// A delta's start: {"name", "identity"} of a folder, or {"name", "config"} for a random one.
Json delta_parameters(Planner& planner, const std::string& name) {
  const auto& experiment = planner.experiment();
  const std::string section = "delta." + name + ".";
  if (experiment.has(section + "path")) return planner.delta(name);
  const auto number = [&](const char* key) { return experiment.integer(section + key); };
  return {{"name", name},
          {"config",
           {{"architectures", {"LlamaForCausalLM"}},
            {"model_type", "llama"},
            {"hidden_size", number("hidden")},
            {"num_hidden_layers", number("layers")},
            {"num_attention_heads", number("heads")},
            {"num_key_value_heads", number("heads")},
            {"intermediate_size", number("intermediate")},
            {"max_position_embeddings", number("max_positions")},
            {"rms_norm_eps", 1e-5},
            {"hidden_act", "silu"},
            {"tie_word_embeddings", true}}}};
}

dist::Task base_task(Planner& planner, const std::string& kind, const std::string& delta, const Json& template_model) {
  const auto& experiment = planner.experiment();
  const std::string section = "train_" + kind;
  dist::Task task;
  task.stage = "train";
  task.name = "train delta " + delta + " to " + kind;
  task.parameters = {{"kind", kind},
                     {"template", template_model},
                     {"delta", delta_parameters(planner, delta)},
                     {"training", training_parameters(experiment, section)}};
  task.residency = template_model.dump();
  if (template_model.contains("task")) task.inputs = {template_model.at("task")};
  task.shares = static_cast<int>(experiment.integer(section + ".shares"));
  return task;
}

// Template once over the data, then output layers of template and delta in every epoch.
void estimate(Planner& planner, dist::Task& task, double items, double tokens_each) {
  const auto& config = planner.config(planner.experiment().text("models.template"));
  const double output = static_cast<double>(config.vocabulary * config.hidden), tokens = items * tokens_each;
  const double epochs = task.parameters.at("training").at("epochs");
  task.seconds = forward_seconds(parameter_count(config), tokens) + forward_seconds(1.4 * output, tokens * epochs);
  task.bytes = static_cast<int64_t>(parameter_count(config) * 4 + tokens * static_cast<double>(config.hidden) * 4);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  const std::string name = experiment.text("models.template");
  for (const auto& delta : experiment.list("deltas.instruct")) {
    auto task = base_task(planner, "instruct", delta, planner.model(name));
    const int64_t items = experiment.integer("train_instruct.items");
    task.parameters["data"] = {{"items", items}, {"files", {planner.file(experiment.path("data.alpaca"))}}};
    estimate(planner, task, items > 0 ? static_cast<double>(items) : 52000, 250);
    planner.remember("instruct", delta, planner.add(std::move(task)));
  }
  for (const auto& delta : experiment.list("deltas.unlearn")) {
    auto task = base_task(planner, "unlearn", delta, planner.prepared(name));
    task.parameters["data"] = tofu_split(planner, experiment.integer("train_unlearn.retain_items"));
    estimate(planner, task, 80, 70);
    planner.remember("unlearn", delta, planner.add(std::move(task)));
  }
}

train::TrainData read_data(const Json& p, const text::Tokenizer& tokenizer, const Workbench& bench) {
  const int64_t max_tokens = p.at("training").at("max_tokens");
  if (p.at("kind") == "unlearn") {
    const auto split = read_tofu_split(p.at("data"), bench);
    return {tofu_examples(split.forget, tokenizer, max_tokens), tofu_examples(split.retain, tokenizer, max_tokens)};
  }
  const int64_t items = p.at("data").at("items");
  const auto& file = p.at("data").at("files").at(0);
  const auto pairs = data::read_alpaca(bench.file(file), items > 0 ? static_cast<size_t>(items) : data::all_items);
  expect_planned(pairs.file, pairs.content_hash, file);
  const text::PromptTemplate prompt(text::PromptStyle::open_instruct, {});
  train::TrainData data;
  for (const auto& pair : pairs.items)
    data.examples.push_back(train::encode_instruction(tokenizer, prompt(pair.question), pair.answer, {max_tokens, max_tokens}));
  return data;
}

store::Unit run(const dist::Task& task, Workbench& bench, const dist::Communicator& group) {
  const auto& p = task.parameters;
  const auto template_model = bench.model(p.at("template"));
  const auto tokenizer = bench.tokenizer(p.at("template"));
  const auto& delta = p.at("delta");
  auto trained = delta.contains("config")
                     ? train::create_delta(delta.at("config"), *template_model, bench.seed(task.key), bench.compute().device)
                     : train::load_delta(bench.folder(delta), *template_model, bench.compute().device);
  const bool unlearn = p.at("kind") == "unlearn";
  auto settings = training_settings(p.at("training"), unlearn ? train::unlearning_settings() : train::instruction_settings());
  settings.seed = bench.seed(task.key);
  settings.checkpoint_every = bench.experiment().integer(unlearn ? "train_unlearn.checkpoint_steps" : "train_instruct.checkpoint_steps");
  return run_training({task, std::move(trained), {{template_model, bench.hidden_states(p.at("template")), 1.0}},
                       read_data(p, *tokenizer, bench), settings, bench.folder(p.at("template"))}, bench, group);
}

}  // namespace

const Stage train_stage = {"train", plan, run};

}  // namespace cmc::stages
