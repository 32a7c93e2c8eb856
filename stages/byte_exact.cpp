// How far a token map is from what it stands in for: the delta's probability that the next bytes are a base token's, in
// whatever tokens of its own (fusion::ByteExact). For small vocabularies.
#include <algorithm>
#include <cmath>

#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/fusion/byte_exact.hpp"
#include "pipeline/fusion/delta_reader.hpp"
#include "pipeline/records/rows.hpp"
#include "stages/all_stages.hpp"
#include "stages/planning/evaluated_systems.hpp"
#include "stages/planning/footprint.hpp"
#include "stages/planning/planned_compute.hpp"
#include "stages/planning/planned_data.hpp"
#include "stages/planning/planner.hpp"
#include "stages/workbench/steered_target.hpp"

namespace cmc::stages {
namespace {

using records::ByteExactParameters, records::ByteExactRow, records::Method, records::Purpose;

// CMC with the first delta by each map and treatment of unmapped tokens.
std::vector<Evaluated> mapped_systems(Planner& planner, const std::string& target) {
  const auto& experiment = planner.experiment();
  std::vector<Evaluated> systems;
  for (auto& evaluated : systems_on(planner, target, Purpose::instruct)) {
    const auto& [system, fusion] = std::tie(evaluated.system, evaluated.system.fusion);
    const bool usual = fusion.mode == experiment.fusion.modes.front() && fusion.gate.empty();
    if (system.method == Method::cmc && system.delta == experiment.deltas.instruct.front() && !fusion.map.empty() &&
        usual)
      systems.push_back(std::move(evaluated));
  }
  return systems;
}

void add(Planner& planner, const Evaluated& evaluated, const std::vector<std::string>& questions) {
  const auto& experiment = planner.experiment();
  distributed::Task task;
  task.name = "byte-exact reference of " + describe_curve(evaluated.system);
  const ByteExactParameters p{evaluation_of(planner, evaluated, {1.0}, task),
                              std::ssize(questions),
                              experiment.byte_exact.tokens,
                              experiment.byte_exact.least,
                              planner.file(experiment.given(experiment.data.alpaca_eval)),
                              instruct_prompt(planner, evaluated.system, questions),
                              prompt_of_style(text::PromptStyle::open_instruct)};
  const auto& config = planner.config(evaluated.system.target);
  const auto positions = static_cast<double>(p.items * p.tokens);
  task.seconds = positions * 0.05 + forward_seconds(footprint_of(config).weights(), positions * 100);
  planner.takes(task, evaluated.system.target, decoding_bytes(experiment, config, 300));
  planner.add(std::move(task), p);
}

void plan(Planner& planner) {
  const auto& experiment = planner.experiment();
  if (experiment.byte_exact.items == 0 || experiment.deltas.instruct.empty()) return;
  auto prompts = evaluation_prompts(planner);
  prompts.questions.resize(static_cast<size_t>(std::min(experiment.byte_exact.items, prompts.count)));
  for (const auto& target : experiment.targets_of(Purpose::instruct))
    for (const auto& evaluated : mapped_systems(planner, target)) add(planner, evaluated, prompts.questions);
}

// An item's reference output, its first tokens, and what base and delta read before it.
struct Text {
  SteeredTarget::Answer answer;
  ByteExactRow row;
};

std::vector<Text> texts_of(const ByteExactParameters& p, const SteeredTarget& target, const Workbench& bench) {
  const auto set = data::read_alpaca_eval(bench.file(p.data));
  expect_planned(set.file, set.content_hash, p.data);
  const auto base = prompt_template(p.base_prompt), delta = prompt_template(p.delta_prompt);
  std::vector<Text> texts;
  for (int64_t i = 0; i < p.items; ++i) {
    const auto& item = set.items.at(static_cast<size_t>(i));
    const auto prompt = target.prompt(base, delta, item.instruction);
    auto reference = target.tokenizer().encode(item.output, text::AddedTokens::none);
    reference.resize(std::min(reference.size(), static_cast<size_t>(p.tokens)));
    Text text{{prompt.base, std::ssize(prompt.base), prompt.delta}, {1.0, i}};
    text.answer.tokens.insert(text.answer.tokens.end(), reference.begin(), reference.end());
    texts.push_back(std::move(text));
  }
  return texts;
}

// What the delta reads before a position: as where the map is used.
std::vector<int32_t> delta_context(const SteeredTarget::Answer& answer, int64_t position, const SteeredTarget& target) {
  const fusion::DeltaReader reader(fusion::tokens_of<BaseToken>(answer.tokens), answer.first,
                                   {fusion::tokens_of<DeltaToken>(answer.delta_prompt), {}}, target.tokenizer(),
                                   target.delta_tokenizer());
  return reader.before(position);
}

// KL(exact ‖ mapped) of two log-distributions [V] (nat).
double divergence(const torch::Tensor& exact, const torch::Tensor& mapped) {
  return torch::where(exact.isfinite(), exact.exp() * (exact - mapped), 0.0).sum().item<double>();
}

// What a delta has no word for gets no shift, as an unmapped token.
torch::Tensor exact_shift(const std::vector<double>& log_probs, int64_t vocabulary) {
  auto shift = torch::tensor(log_probs, torch::kFloat64);
  shift = torch::constant_pad_nd(shift, {0, std::max<int64_t>(0, vocabulary - shift.size(0))}, 0.0)
              .narrow(0, 0, vocabulary);
  return torch::where(shift.isnan(), torch::zeros_like(shift), shift);
}

store::Unit run(const distributed::Task& task, Workbench& bench, const distributed::Communicator&) {
  const auto p = records::from_json<ByteExactParameters>(task.parameters, task.name);
  SteeredTarget target(p.evaluation, bench);
  const fusion::ByteExact exact(bench.model(p.evaluation.parts.front().model), target.delta_tokenizer(),
                                target.tokenizer(), p.least);
  auto texts = texts_of(p, target, bench);
  std::vector<SteeredTarget::Answer> answers;
  for (const auto& text : texts) answers.push_back(text.answer);
  target.each_distribution(
      answers, 1.0, [&](const fusion::FusedLogits& fused, std::span<const fusion::ForcedPosition> positions) {
        const auto base = fused.base().to(torch::kCPU, torch::kFloat64).log_softmax(1);
        const auto mapped = fused.log_probs().to(torch::kCPU, torch::kFloat64);
        for (int64_t row = 0; row < std::ssize(positions); ++row) {
          const auto& at = positions[static_cast<size_t>(row)];
          auto& [answer, of] = texts[static_cast<size_t>(at.sequence)];
          const auto shift = exact_shift(exact.log_probs(delta_context(answer, at.token, target)), base.size(1));
          const auto truth = (base[row] + shift).log_softmax(0);
          of.divergence += divergence(truth, mapped[row]);
          of.same_choice += truth.argmax().item<int64_t>() == mapped[row].argmax().item<int64_t>() ? 1 : 0;
          ++of.compared;
        }
      });
  std::vector<ByteExactRow> rows;
  for (const auto& text : texts)
    if (text.row.compared > 0) rows.push_back(text.row);
  store::Unit unit;
  records::write_rows(unit, rows);
  target.add_cost(unit);
  return unit;
}

}  // namespace

const Stage byte_exact_stage = {"byte_exact", 1, Stage::Runs::models, plan, run};

}  // namespace cmc::stages
