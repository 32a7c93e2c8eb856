#include "pipeline/fusion/step_runner.hpp"

#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t first_room = 4096;  // numbers of a step: enough for 64 rows that decode

std::vector<PackedNumbers::Place> add_passes(PackedNumbers& numbers, const Reading& reading) {
  std::vector<PackedNumbers::Place> places;
  for (const auto& pass : reading.passes) places.push_back(numbers.add(std::span<const int32_t>(pass.numbers)));
  return places;
}

std::vector<model::DevicePlan> passes_at(const torch::Tensor& words, const std::vector<PackedNumbers::Place>& places,
                                         const Reading& reading, const torch::Tensor& chosen) {
  std::vector<model::DevicePlan> passes;
  for (size_t i = 0; i < places.size(); ++i)
    passes.push_back(model::view_of(reading.passes[i], numbers_at<int32_t>(words, places[i]), chosen));
  return passes;
}

}  // namespace

StepRunner::StepRunner(SteeredContexts& contexts, const FusionSettings& settings)
    : contexts_(contexts),
      settings_(settings),
      device_(contexts.base().model->device()),
      numbers_(device_, first_room),
      encoded_numbers_(device_, first_room),
      side_(device_),
      chosen_(torch::zeros({settings.slots + 1}, torch::dtype(torch::kInt32).device(device_))) {}

StepRunner::Placing StepRunner::add_delta(PackedNumbers& numbers, const DeltaReading& delta, int64_t rows) {
  std::vector<int32_t> row_of(static_cast<size_t>(rows), -1);
  for (size_t k = 0; k < delta.rows.size(); ++k) row_of[static_cast<size_t>(delta.rows[k])] = static_cast<int32_t>(k);
  auto coefficients = delta.alphas;
  coefficients.resize(coefficients.size() + static_cast<size_t>(delta.padding), 0.0f);
  std::vector<int32_t> base_rows(delta.rows.begin(), delta.rows.end());
  base_rows.resize(coefficients.size(), 0);
  return {add_passes(numbers, delta.reading), numbers.add(std::span<const int32_t>(row_of)),
          numbers.add(std::span<const float>(coefficients)), numbers.add(std::span<const int32_t>(base_rows))};
}

StepRunner::DeltaOnDevice StepRunner::delta_at(const torch::Tensor& words, const Placing& at,
                                               const DeltaReading& delta) const {
  return {delta.delta,
          passes_at(words, at.passes, delta.reading, chosen_),
          delta.rows,
          delta.alphas,
          {numbers_at<int32_t>(words, at.row_of), numbers_at<float>(words, at.coefficients)},
          numbers_at<int32_t>(words, at.base_rows)};
}

// A captured step reads its rows from tensors alone, which the CPU's own kernels do not.
bool StepRunner::captures() const {
  const torch::NoGradGuard no_gradients;
  if (!settings_.graphs.value_or(device_.is_cuda())) return false;
  const auto sample = torch::empty({0}, torch::dtype(torch::kFloat32).device(device_));
  return model::path_of(sample) != model::OpPath::cpu_kernels && contexts_.capturable();
}

StepRunner::Read StepRunner::read(std::span<const int64_t> slots) {
  const torch::NoGradGuard no_gradients;
  StepPlan plan = contexts_.plan(slots, false);
  std::vector<Turn> turns;
  for (const int64_t slot : slots) turns.push_back({slot});
  StepOnDevice step = upload(plan, turns);
  auto logits = launch(plan, step);
  contexts_.advance(plan);
  return {std::move(logits), plan.whole};
}

std::shared_ptr<Chosen> StepRunner::step(std::span<const Turn> turns, const Sampling& sampling) {
  const torch::NoGradGuard no_gradients;
  std::vector<int64_t> slots;
  for (const auto& turn : turns) slots.push_back(turn.slot);
  StepPlan plan = contexts_.plan(slots, captures());
  StepOnDevice step = upload(plan, turns);
  torch::Tensor tokens;
  if (plan.padded && plan.decodes && !plan.encodes) {
    tokens = captured(step, sampling);
  } else {
    tokens = torch::empty({step.rows}, torch::dtype(torch::kInt32).device(device_));
    const auto logits = launch(plan, step);
    if (step.rows > 0) choose(step, logits, sampling, tokens);
  }
  contexts_.advance(plan);
  const auto chosen = download(tokens, plan.whole);
  for (size_t i = 0; i < slots.size(); ++i)
    if (plan.whole[i]) contexts_.append(slots[i], chosen, i);
  return chosen;
}

StepRunner::StepOnDevice StepRunner::upload(const StepPlan& plan, std::span<const Turn> turns) {
  StepOnDevice step{plan.rows + plan.padding, {}, {}, {}, {}, {}};
  std::vector<int32_t> slots;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (!plan.whole[i]) continue;
    step.uniforms.push_back(turns[i].uniform);
    slots.push_back(static_cast<int32_t>(turns[i].slot));
  }
  step.uniforms.resize(static_cast<size_t>(step.rows), 0.0);
  slots.resize(static_cast<size_t>(step.rows), static_cast<int32_t>(settings_.slots));
  PackedNumbers numbers;
  const auto uniforms_at = numbers.add(std::span<const double>(step.uniforms));
  const auto slots_at = numbers.add(std::span<const int32_t>(slots));
  const auto base_at = add_passes(numbers, plan.base);
  std::vector<Placing> deltas_at;
  for (const auto& delta : plan.deltas) deltas_at.push_back(add_delta(numbers, delta, step.rows));
  const auto words = numbers_.upload(numbers.words());
  step.placed_uniforms = numbers_at<double>(words, uniforms_at);
  step.slots = numbers_at<int32_t>(words, slots_at);
  step.base = passes_at(words, base_at, plan.base, chosen_);
  for (size_t d = 0; d < plan.deltas.size(); ++d) step.deltas.push_back(delta_at(words, deltas_at[d], plan.deltas[d]));
  return step;
}

// Deltas planned after the first copy: a copy of their own, on their stream.
void StepRunner::upload_encoded(const StepPlan& plan, StepOnDevice& step) {
  const auto known = step.deltas.size();
  if (plan.deltas.size() == known) return;
  PackedNumbers numbers;
  std::vector<Placing> places;
  for (size_t d = known; d < plan.deltas.size(); ++d) places.push_back(add_delta(numbers, plan.deltas[d], step.rows));
  const auto words = encoded_numbers_.upload(numbers.words());
  for (size_t d = known; d < plan.deltas.size(); ++d)
    step.deltas.push_back(delta_at(words, places[d - known], plan.deltas[d]));
}

torch::Tensor StepRunner::base_logits(const StepOnDevice& step) {
  return step.base.empty() ? contexts_.no_logits() : contexts_.base_logits(step.base[0], step.rows);
}

// What each delta of the step adds before its map. Two streams never run one model: it has tables that grow.
std::vector<LazyLogits> StepRunner::shifts(const StepOnDevice& step, const torch::Tensor& base) {
  std::vector<LazyLogits> logits(step.deltas.size());
  const auto launch = [&](bool contrasts) {
    for (size_t d = 0; d < step.deltas.size(); ++d) {
      const auto& delta = step.deltas[d];
      auto& stream = contexts_.deltas()[delta.delta];
      if (stream.contrasts() == contrasts) logits[d] = stream.logits(delta.passes, delta.base_rows.size(0));
    }
  };
  side_.run([&] { launch(false); });
  side_.join();
  launch(true);
  for (size_t d = 0; d < step.deltas.size(); ++d) {
    const auto& delta = step.deltas[d];
    if (contexts_.deltas()[delta.delta].contrasts() && logits[d].rows() > 0)
      logits[d] = DeltaStream::contrast(base.index_select(0, delta.base_rows), logits[d].whole());
  }
  return logits;
}

FusedLogits StepRunner::fused(const StepOnDevice& step, torch::Tensor base) {
  const auto added = shifts(step, base);
  std::vector<LogitTerm> terms;
  for (size_t d = 0; d < step.deltas.size(); ++d) {
    const auto& delta = step.deltas[d];
    if (added[d].rows() == 0) continue;
    terms.push_back(contexts_.deltas()[delta.delta].term(added[d], delta.rows, delta.alphas));
    terms.back().placed = delta.placed;
  }
  const auto normalisation = settings_.mode == FusionMode::raw_sum ? Normalisation::raw : Normalisation::log_softmax;
  return {std::move(base), normalisation, std::move(terms)};
}

void StepRunner::choose(const StepOnDevice& step, const FusedLogits& logits, const Sampling& sampling,
                        torch::Tensor& tokens) {
  logits.choose_into({sampling, step.uniforms, step.placed_uniforms}, {tokens, chosen_, step.slots});
}

FusedLogits StepRunner::launch(StepPlan& plan, StepOnDevice& step) {
  side_.fork();
  auto base = plan.padded && plan.decodes ? captured_base(step) : base_logits(step);
  if (plan.encodes) {
    contexts_.plan_encoded(plan);
    side_.run([&] { upload_encoded(plan, step); });
  }
  return fused(step, std::move(base));
}

torch::Tensor StepRunner::captured(const StepOnDevice& step, const Sampling& sampling) {
  Key key{true, {}, {step.base[0].shape}, sampling.temperature, sampling.top_p};
  for (const auto& delta : step.deltas) {
    key.deltas.push_back(delta.delta);
    for (const auto& pass : delta.passes) key.shapes.push_back(pass.shape);
  }
  auto& graph = graph_of(std::move(key), step, [&](torch::Tensor& tokens) {
    tokens = torch::empty({step.rows}, torch::dtype(torch::kInt32).device(device_));
    return [this, step, sampling, &tokens] {
      side_.fork();
      choose(step, fused(step, base_logits(step)), sampling, tokens);
    };
  });
  graph.work.run();
  return *graph.result;
}

torch::Tensor StepRunner::captured_base(const StepOnDevice& step) {
  auto& graph = graph_of({false, {}, {step.base[0].shape}}, step,
                         [&](torch::Tensor& logits) { return [this, step, &logits] { logits = base_logits(step); }; });
  graph.work.run();
  return *graph.result;
}

StepRunner::Graph& StepRunner::graph_of(Key key, const StepOnDevice& step,
                                        const std::function<std::function<void()>(torch::Tensor&)>& work) {
  auto state = contexts_.capacities();
  state.push_back(static_cast<int64_t>(reinterpret_cast<intptr_t>(step.placed_uniforms.const_data_ptr())));
  if (state != graph_state_) graphs_.clear();
  graph_state_ = std::move(state);
  const auto known = std::find_if(graphs_.begin(), graphs_.end(), [&](const auto& graph) { return graph.key == key; });
  if (known != graphs_.end()) return *known;
  auto result = std::make_shared<torch::Tensor>();
  auto made = work(*result);
  graphs_.push_back({std::move(key), std::move(result), StepGraph(device_, std::move(made))});
  return graphs_.back();
}

std::shared_ptr<Chosen> StepRunner::download(const torch::Tensor& tokens, std::vector<bool> whole) {
  RECORD_FUNCTION("cmc::download", c10::ArrayRef<const c10::IValue>{});
  if (!device_.is_cuda()) return std::make_shared<Chosen>(std::move(whole), tokens.clone(), std::nullopt);
  auto pinned = torch::empty(tokens.sizes(), torch::dtype(torch::kInt32).pinned_memory(true));
  pinned.copy_(tokens, /*non_blocking=*/true);
  c10::Event copied(device_.type());
  copied.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  return std::make_shared<Chosen>(std::move(whole), std::move(pinned), std::move(copied));
}

}  // namespace cmc::fusion
