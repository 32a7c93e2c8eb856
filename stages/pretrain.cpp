// Pre-training of the embedded experiment's small models and deltas on its generated texts.
#include "pipeline/core/random.hpp"
#include "pipeline/data/plain_text.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/made_models.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/training.hpp"

namespace cmc::stages {
namespace {

enum class Kind { model, delta };

// `of`: the model whose tokenizer it has.
void add(Planner& planner, Kind kind, const std::string& name, const std::string& of) {
  const auto& experiment = planner.experiment();
  const auto& settings = experiment.pretrain;
  const bool delta = kind == Kind::delta;
  distributed::Task task;
  task.name = "pre-train " + name;
  records::PretrainParameters p{name,
                                delta ? made_llama(experiment.delta.at(name).sizes, Output::embedding)
                                      : made_llama(experiment.model.at(name).sizes, Output::own),
                                planner.tokenizer_files(of),
                                planner.file(experiment.given(experiment.data.pretrain)),
                                settings.steps,
                                settings.batch,
                                settings.window,
                                delta ? settings.delta_learning_rate : settings.learning_rate,
                                settings.warmup,
                                settings.floor,
                                settings.beta2,
                                settings.weight_decay,
                                {}};
  const double parameters = footprint_of(config_of(p.config, planner.tokenizer(of), name)).weights();
  task.seconds =
      3 * forward_seconds(parameters, static_cast<double>(settings.steps * settings.batch * settings.window));
  task.bytes = static_cast<int64_t>(parameters * 16);
  task.resumable = true;
  planner.remember("pretrain", (delta ? "delta." : "model.") + name, planner.add(std::move(task), p));
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  for (const auto purpose : {records::Purpose::instruct, records::Purpose::unlearn}) {
    const std::string& template_name = experiment.template_of(purpose);
    auto models = experiment.targets_of(purpose);
    models.push_back(template_name);
    if (!experiment.judge.model.empty()) models.push_back(experiment.judge.model);
    for (const auto& name : models)
      if (experiment.model.at(name).path.empty() && planner.find("pretrain", "model." + name).empty())
        add(planner, Kind::model, name, name);
    for (const auto& delta : experiment.deltas_of(purpose)) {
      const std::string& start = experiment.start_of(delta);
      if (experiment.delta.at(start).pretrain && planner.find("pretrain", "delta." + start).empty())
        add(planner, Kind::delta, start, template_name);
    }
  }
}

// All documents one after the other, each between a begin and an end token.
std::vector<int32_t> token_stream(const text::Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  std::vector<int32_t> stream;
  for (const auto& text : texts) {
    if (tokenizer.special().begin >= 0) stream.push_back(tokenizer.special().begin);
    for (const int32_t id : tokenizer.encode(text, text::AddedTokens::none)) stream.push_back(id);
    if (tokenizer.special().end >= 0) stream.push_back(tokenizer.special().end);
  }
  return stream;
}

// Windows of `window` predicted tokens, cut at random.
std::vector<train::Example> windows(const std::vector<int32_t>& stream, int64_t count, int64_t window, uint64_t seed) {
  const int64_t length = std::min(window + 1, std::ssize(stream));
  Random random(seed);
  std::vector<train::Example> examples;
  for (int64_t i = 0; i < count; ++i) {
    const auto from =
        stream.begin() + static_cast<int64_t>(random.below(static_cast<uint64_t>(std::ssize(stream) - length + 1)));
    examples.push_back({{from, from + length}, {from, from + length}});
  }
  return examples;
}

train::TrainSettings settings_of(const records::PretrainParameters& p) {
  train::TrainSettings settings;
  settings.batch = p.batch;
  settings.accumulation = 1;
  settings.epochs = 1;
  settings.learning_rate = p.learning_rate;
  settings.schedule = train::ScheduleShape::cosine;
  settings.schedule_floor = p.floor;
  settings.warmup = {.ratio = p.warmup};
  settings.adamw.beta2 = p.beta2;
  settings.adamw.weight_decay = p.weight_decay;
  return settings;
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator& group) {
  const auto p = records::from_json<records::PretrainParameters>(task.parameters, task.name);
  const auto folder = bench.folder(p.tokenizer);
  const auto tokenizer = text::load_tokenizer(folder);
  const auto texts = data::read_texts(bench.file(p.data));
  expect_planned(texts.file, texts.content_hash, p.data);
  auto model = model::DecoderModel::random(config_of(p.config, *tokenizer, task.name), task.seed, torch::kFloat32,
                                           bench.compute().device);
  auto settings = settings_of(p);
  settings.seed = task.seed;
  settings.checkpoint_every = bench.experiment().pretrain.checkpoint_steps;
  train::TrainData data;
  data.examples = windows(token_stream(*tokenizer, texts.items), p.steps * settings.batch, p.window, task.seed);
  return run_training({task, std::move(model), {}, std::move(data), settings, folder}, bench, group);
}

}  // namespace

const Stage pretrain_stage = {"pretrain", 2, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
