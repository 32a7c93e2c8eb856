#include "stages/steered_target.hpp"

#include <chrono>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"

namespace cmc::stages {

std::string describe(const Evaluated& e) { return e.target + (e.delta.empty() ? " " + e.method : " + " + e.delta); }

void add_evaluated(Planner& planner, const Evaluated& e, const std::vector<double>& strengths, dist::Task& task) {
  const auto& experiment = planner.experiment();
  auto& p = task.parameters;
  p["target"] = e.target;
  p["model"] = e.model;
  p["method"] = e.method;
  p["strengths"] = e.delta.empty() ? std::vector<double>{0} : strengths;
  if (e.model.contains("task")) task.inputs.push_back(e.model.at("task"));
  task.residency = e.model.dump();
  task.load_seconds = 1 + 4 * parameter_count(planner.config(e.target)) / 500e6;  // float32 from disk at 500 MB/s
  if (e.delta.empty()) return;
  const std::string template_name = experiment.text("models.template");
  const std::string trained = planner.find(e.purpose, e.delta), map = planner.find("map", e.target);
  p["delta"] = e.delta;
  p["delta_model"] = Planner::made_by(e.delta, trained);
  p["delta_tokenizer"] = planner.model(template_name);
  p["map"] = map;
  p["mode"] = experiment.text("fusion.mode");
  task.inputs.push_back(trained);
  if (!map.empty()) task.inputs.push_back(map);
}

SteeredTarget::SteeredTarget(const Json& p, Workbench& bench)
    : strengths_(p.at("strengths").get<std::vector<double>>()), tokenizer_(bench.tokenizer(p.at("model"))) {
  fusion::Base base{bench.model(p.at("model")), tokenizer_};
  end_tokens_ = base.model->config().end_tokens;
  if (tokenizer_->special().end >= 0) end_tokens_.push_back(tokenizer_->special().end);
  std::vector<fusion::Delta> deltas;
  fusion::FusionSettings settings;
  settings.slots = bench.experiment().integer("compute.batch");
  if (p.contains("delta")) {
    deltas.push_back(fusion::delta_model(bench.model(p.at("delta_model"))));
    settings.mode = fusion::fusion_mode(p.at("mode").get<std::string>());
    if (auto map = bench.token_map(p.at("map").get<std::string>())) {
      deltas.back().map = std::move(map);
      deltas.back().tokenizer = delta_tokenizer_ = bench.tokenizer(p.at("delta_tokenizer"));
    }
  }
  source_ = fusion::fused_source(std::move(base), std::move(deltas), settings);
}

std::vector<std::vector<decode::Generated>> SteeredTarget::generate(
    const std::vector<Prompt>& prompts, int64_t new_tokens, const std::function<void(const decode::GenerationProgress&)>& report) {
  using text::AddedTokens;
  std::vector<decode::GenerationRequest> requests;
  for (const double strength : strengths_)
    for (const auto& prompt : prompts) {
      fusion::Row row;
      row.prompt = fusion::tokens_of<BaseToken>(tokenizer_->encode(prompt.base, AddedTokens::as_model));
      if (delta_tokenizer_)
        row.delta_prompt = fusion::tokens_of<DeltaToken>(delta_tokenizer_->encode(prompt.delta, AddedTokens::as_model));
      row.steering = {0, static_cast<float>(strength)};
      requests.push_back({std::move(row)});
    }
  decode::GenerationSettings settings;
  settings.max_new_tokens = new_tokens;
  settings.end_tokens = end_tokens_;
  settings.stop_strings = {"\n\nComment:"};  // protocol, "Decoding"
  auto flat = decode::generate(*source_, tokenizer_, requests, settings, report);
  std::vector<std::vector<decode::Generated>> by_strength(strengths_.size());
  for (size_t i = 0; i < flat.size(); ++i) by_strength[i / prompts.size()].push_back(std::move(flat[i]));
  return by_strength;
}

std::vector<std::vector<decode::Score>> SteeredTarget::score(const std::vector<Answer>& answers,
                                                             const std::function<void(const decode::ScoreProgress&)>& report) {
  if (answers.empty()) return {};
  std::vector<decode::ScoreRequest> requests;
  for (const double strength : strengths_)
    for (const auto& answer : answers) {
      const std::span<const int32_t> ids(answer.tokens);
      requests.push_back({fusion::tokens_of<BaseToken>(ids.first(static_cast<size_t>(answer.first))),
                          fusion::tokens_of<BaseToken>(ids.subspan(static_cast<size_t>(answer.first))),
                          {0, static_cast<float>(strength)},
                          {{}, fusion::tokens_of<BaseToken>(answer.delta_tokens)}});
      if (delta_tokenizer_ && !answer.delta_prompt.empty())
        requests.back().delta.prompt =
            fusion::tokens_of<DeltaToken>(delta_tokenizer_->encode(answer.delta_prompt, text::AddedTokens::as_model));
    }
  auto flat = decode::score(*source_, requests, report);
  std::vector<std::vector<decode::Score>> by_strength(strengths_.size());
  for (size_t i = 0; i < flat.size(); ++i) by_strength[i / answers.size()].push_back(std::move(flat[i]));
  return by_strength;
}

std::function<void(int64_t, int64_t)> log_progress(const std::string& name) {
  using Clock = std::chrono::steady_clock;
  return [name, last = Clock::now()](int64_t done, int64_t total) mutable {
    if (Clock::now() - last < std::chrono::seconds(10)) return;
    last = Clock::now();
    log_info(name, ": ", done, "/", total);
  };
}

}  // namespace cmc::stages
