#include "stages/workbench/steered_target.hpp"

#include <algorithm>

#include "stages/planning/footprint.hpp"

namespace cmc::stages {

namespace {

// The system's, or its method's own.
fusion::DeltaGate gate_of(const records::System& system) {
  if (!system.fusion.gate.empty()) return {fusion::gate_rule(system.fusion.gate), system.fusion.gate_threshold};
  const double plausible = records::traits_of(system.method).plausible;
  return plausible > 0 ? fusion::DeltaGate{fusion::GateRule::plausible, plausible} : fusion::DeltaGate{};
}

}  // namespace

SteeredTarget::SteeredTarget(const records::Evaluation& p, Workbench& bench, int bits)
    : strengths_(p.strengths), tokenizer_(bench.tokenizer(p.model)) {
  fusion::Base base{bench.target(p.model, bits), tokenizer_};
  parameters_ = footprint_of(base.model->config()).weights();
  end_tokens_ = base.model->config().end_tokens;
  if (tokenizer_->special().end >= 0) end_tokens_.push_back(tokenizer_->special().end);
  std::vector<fusion::Delta> deltas;
  fusion::FusionSettings settings;
  settings.slots = bench.batch();
  if (const int halvings = bench.halvings(); halvings > 0) {  // memory has run out before
    settings.forced_tokens = std::max<int64_t>(1, 1024 >> halvings);
    settings.forced_logits = std::max<int64_t>(1, (1 << 24) >> halvings);
  }
  if (p.system.adds_delta()) {
    if (records::traits_of(p.system.method).contrasts) {
      deltas.push_back(fusion::contrast_with(base.model));
      delta_tokenizers_.push_back(tokenizer_);
      parameters_ *= 2;
    } else {
      deltas.push_back(delta_of(p, bench, bits));
    }
    if (p.other) deltas.push_back(delta_of(*p.other, bench, bits));
    settings.mode = fusion::fusion_mode(p.system.fusion.mode);
    settings.gate = gate_of(p.system);
    if (!p.system.fusion.unmapped.empty()) settings.unmapped = fusion::unmapped(p.system.fusion.unmapped);
    settings.top = p.system.fusion.top;
    settings.top_of = p.system.fusion.map == records::top_union ? fusion::TopOf::either : fusion::TopOf::base;
  }
  source_ = fusion::fused_source(std::move(base), std::move(deltas), settings);
}

fusion::Delta SteeredTarget::delta_of(const records::AddedDelta& added, Workbench& bench, int bits) {
  fusion::Delta delta;
  for (const auto& part : added.parts) {
    delta.parts.push_back({bench.model(part.model, bits), static_cast<float>(part.weight)});
    parameters_ += footprint_of(delta.parts.back().model->config()).weights();
  }
  delta.map = bench.token_map(added.map);
  if (delta.map) delta.tokenizer = bench.tokenizer(*added.delta_tokenizer);
  delta_tokenizers_.push_back(delta.tokenizer);
  return delta;
}

fusion::Steering SteeredTarget::steering(double strength) const {
  fusion::Steering steering;
  for (int64_t delta = 0; delta < std::ssize(delta_tokenizers_); ++delta)
    steering.terms.push_back({delta, static_cast<float>(strength)});
  return steering;
}

std::vector<fusion::ForcedSequence::DeltaText> SteeredTarget::read_beside(const Answer& answer) {
  const auto tokens = fusion::tokens_of<BaseToken>(answer.delta_tokens);
  return {{fusion::tokens_of<DeltaToken>(answer.delta_prompt), tokens},
          {fusion::tokens_of<DeltaToken>(answer.other_prompt), tokens}};
}

SteeredTarget::Prompt SteeredTarget::prompt(const text::PromptTemplate& base, const text::PromptTemplate& delta,
                                            const std::string& question) const {
  const auto read_by = [&](size_t number) {
    const bool own = number < delta_tokenizers_.size() && delta_tokenizers_[number];
    return own ? delta.tokens(question, *delta_tokenizers_[number]) : std::vector<int32_t>();
  };
  return {base.tokens(question, *tokenizer_), read_by(0), read_by(1)};
}

std::vector<std::vector<decode::Generated>> SteeredTarget::generate(
    const std::vector<Prompt>& prompts, int64_t new_tokens,
    const std::function<void(const decode::GenerationProgress&)>& report) {
  std::vector<decode::GenerationRequest> requests;
  for (const double strength : strengths_)
    for (const auto& prompt : prompts) {
      fusion::Row row;
      row.prompt = fusion::tokens_of<BaseToken>(prompt.base);
      row.delta_prompts = {fusion::tokens_of<DeltaToken>(prompt.delta), fusion::tokens_of<DeltaToken>(prompt.other)};
      row.steering = steering(strength);
      requests.push_back({std::move(row)});
    }
  decode::GenerationSettings settings;
  settings.max_new_tokens = new_tokens;
  settings.end_tokens = end_tokens_;
  settings.stop_strings = {"\n\nComment:"};  // protocol, "Decoding"
  auto flat = decode::generate(*source_, tokenizer_, requests, settings, report);
  std::vector<std::vector<decode::Generated>> by_strength(strengths_.size());
  for (size_t i = 0; i < flat.size(); ++i) {
    tokens_ += std::ssize(requests[i].row.prompt) + std::ssize(flat[i].tokens);
    by_strength[i / prompts.size()].push_back(std::move(flat[i]));
  }
  return by_strength;
}

std::vector<std::vector<decode::Score>> SteeredTarget::score(
    const std::vector<Answer>& answers, const std::function<void(const decode::ScoreProgress&)>& report) {
  if (answers.empty()) return {};
  std::vector<decode::ScoreRequest> requests;
  for (const double strength : strengths_)
    for (const auto& answer : answers) {
      const std::span<const int32_t> ids(answer.tokens);
      requests.push_back({fusion::tokens_of<BaseToken>(ids.first(static_cast<size_t>(answer.first))),
                          fusion::tokens_of<BaseToken>(ids.subspan(static_cast<size_t>(answer.first))),
                          steering(strength), read_beside(answer), answer.with_vocabulary});
    }
  auto flat = decode::score(*source_, requests, report);
  std::vector<std::vector<decode::Score>> by_strength(strengths_.size());
  for (size_t i = 0; i < flat.size(); ++i) {
    tokens_ += std::ssize(answers[i % answers.size()].tokens);
    by_strength[i / answers.size()].push_back(std::move(flat[i]));
  }
  return by_strength;
}

void SteeredTarget::each_distribution(const std::vector<Answer>& answers, double strength,
                                      const fusion::LogitSource::TakeForced& take) {
  std::vector<fusion::ForcedSequence> sequences;
  for (const auto& answer : answers) {
    sequences.push_back(
        {fusion::tokens_of<BaseToken>(answer.tokens), answer.first, steering(strength), read_beside(answer)});
    tokens_ += std::ssize(answer.tokens);
  }
  source_->force(sequences, take);
}

void SteeredTarget::add_cost(store::Unit& unit) const {
  unit.cost.tokens = tokens_;
  unit.cost.flops = 2 * parameters_ * static_cast<double>(tokens_);
}

}  // namespace cmc::stages
