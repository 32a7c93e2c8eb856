#include <algorithm>
#include <optional>
#include <utility>

#include "pipeline/decode/generate.hpp"
#include "stages/bench/device_idle.hpp"
#include "stages/bench/measurements.hpp"

namespace cmc::stages {
namespace {

constexpr int64_t unmeasured = 4;  // steps after the prompts: caches settle, graphs are captured

struct Decoded {
  Spread step;
  double context = 0;          // mean tokens of a sequence over the measured steps
  double prefill = 0;          // seconds until every row has its first token
  std::optional<double> idle;  // of the device between the measured steps
};

struct Enough {};  // ends a generation

// Told of each step: times those in which every row gets a token, after some of these.
class Stopwatch {
 public:
  Stopwatch(int64_t batch, int64_t steps, bool watch_device)
      : batch_(batch), steps_(steps), watch_device_(watch_device) {}

  void start(torch::Device device) { last_ = begun_ = seconds_now(device); }

  void step(const decode::GenerationProgress& progress) {
    const double now = seconds_now(torch::kCPU);
    const bool whole = progress.tokens - std::exchange(tokens_, progress.tokens) == batch_;
    const double seconds = now - std::exchange(last_, now);
    if (result_.prefill == 0 && progress.tokens >= batch_ && whole) result_.prefill = now - begun_;
    if (!whole || ++seen_ <= unmeasured + 1) return;
    if (seconds_.empty()) first_tokens_ = tokens_;
    seconds_.push_back(seconds);
    if (watch_device_ && seconds_.size() == 1) activity_.begin();
    if (std::ssize(seconds_) == steps_) throw Enough{};
  }

  Decoded end(int64_t context) {
    if (watch_device_) result_.idle = activity_.idle_share_at_end();
    const auto chosen = static_cast<double>(first_tokens_ + tokens_) / 2;
    result_.context = static_cast<double>(context) + chosen / static_cast<double>(batch_);
    result_.step = spread_of(seconds_);
    return result_;
  }

 private:
  Decoded result_;
  int64_t batch_, steps_;
  bool watch_device_;
  DeviceActivity activity_;
  double begun_ = 0, last_ = 0;
  int64_t tokens_ = 0, seen_ = 0, first_tokens_ = 0;
  std::vector<double> seconds_;
};

std::vector<decode::GenerationRequest> requests_of(const BenchModels& models, const BenchSettings& settings,
                                                   BenchDelta which, int64_t batch) {
  std::vector<decode::GenerationRequest> requests;
  for (int64_t i = 0; i < batch; ++i) {
    const auto ids = some_tokens(settings.context, models.base->config().vocabulary, static_cast<uint64_t>(i));
    decode::GenerationRequest request;
    request.row.prompt = fusion::tokens_of<BaseToken>(ids);
    if (which != BenchDelta::none) request.row.steering = {{{0, 1.0f}}};
    if (which == BenchDelta::other)
      request.row.delta_prompts = {fusion::tokens_of<DeltaToken>(models.other_tokenizer->encode(
          models.tokenizer->decode(ids, text::SpecialText::keep), text::AddedTokens::none))};
    request.seed = static_cast<uint64_t>(i);
    requests.push_back(std::move(request));
  }
  return requests;
}

// Through decode::generate, as every caller decodes: the time from one report to the next is a step's.
Decoded decode_rows(const BenchModels& models, const BenchSettings& settings, BenchDelta which, int64_t batch,
                    bool watch_device) {
  const auto requests = requests_of(models, settings, which, batch);
  int64_t longest = settings.context;
  for (const auto& request : requests)
    for (const auto& prompt : request.row.delta_prompts) longest = std::max(longest, std::ssize(prompt));
  decode::GenerationSettings generation;
  // Rows whose prompts are read in chunks begin one after the other: all shall still run when the last one does.
  generation.max_new_tokens = settings.steps + unmeasured + batch * (longest / 256 + 1) + 8;
  fusion::FusionSettings fusion;
  fusion.slots = batch;
  // A delta of another vocabulary may need two tokens for one.
  fusion.initial_capacity = longest + 2 * generation.max_new_tokens;
  const auto source = fusion::fused_source(models.fusion_base(), models.deltas(which), fusion);
  Stopwatch stopwatch(batch, settings.steps, watch_device);
  stopwatch.start(settings.device);
  try {
    decode::generate(*source, models.tokenizer, requests, generation,
                     [&](const decode::GenerationProgress& progress) { stopwatch.step(progress); });
  } catch (const Enough&) {
  }
  return stopwatch.end(settings.context);
}

std::string at_batch(const std::string& what, int64_t batch) {
  return what + ", batch " + std::to_string(batch);
}

void add_cost(const std::string& name, const Decoded& with, const Decoded& alone, std::optional<double> goal,
              std::vector<Measure>& measures) {
  Measure cost{name, 1e3 * (with.step.median - alone.step.median), "ms a step", 0,
               0,    with.step.median / alone.step.median - 1};
  cost.fraction_of = "the base alone";
  cost.goal = goal;
  cost.at_most = true;
  measures.push_back(cost);
}

void add_prefill(const BenchModels& models, const Machine& machine, const BenchSettings& settings, int64_t batch,
                 double seconds, std::vector<Measure>& measures) {
  const auto& config = models.base->config();
  const double operations =
      static_cast<double>(batch) * footprint_of(config).operations(config, static_cast<double>(settings.context), 1);
  Measure prefill{at_batch("prefill", batch),           operations / seconds / 1e12, "TFLOP/s", 0, 0,
                  operations / seconds / machine.matmul};
  prefill.fraction_of = "matmul rate";
  if (batch * settings.context >= 8192) prefill.goal = goal_on_gpu(settings, 0.6);  // fewer are too few to fill a GPU
  measures.push_back(prefill);
}

}  // namespace

void warm_up(const BenchModels& models, BenchSettings settings) {
  settings.context = std::min<int64_t>(settings.context, 16);
  settings.steps = 1;
  decode_rows(models, settings, BenchDelta::none, 1, false);
}

void measure_decoding(const BenchModels& models, const Machine& machine, const BenchSettings& settings, int64_t batch,
                      std::vector<Measure>& measures) {
  const auto& config = models.base->config();
  const Decoded alone = decode_rows(models, settings, BenchDelta::none, batch, false);
  const auto rows = static_cast<double>(batch);
  const double bytes = footprint_of(config).read_by_step(config, rows, alone.context) *
                       static_cast<double>(torch::elementSize(settings.dtype));
  Measure speed = rate(at_batch("decode", batch), rows, alone.step, "tokens/s");
  speed.fraction = bytes / machine.bandwidth / alone.step.median;
  speed.fraction_of = "bandwidth";
  speed.more = {{"context", alone.context}};
  speed.goal = goal_on_gpu(settings, batch == 1 ? 0.8 : 0.7);
  measures.push_back(speed);
  add_prefill(models, machine, settings, batch, alone.prefill, measures);
  if (settings.same) {
    const Decoded with = decode_rows(models, settings, BenchDelta::same, batch, false);
    measures.push_back(rate(at_batch("decode + delta", batch), rows, with.step, "tokens/s"));
    add_cost(at_batch("cost of a delta", batch), with, alone, goal_on_gpu(settings, 0.05), measures);
  }
  if (settings.other) {
    const Decoded with = decode_rows(models, settings, BenchDelta::other, batch, false);
    measures.push_back(rate(at_batch("decode + delta, other vocabulary", batch), rows, with.step, "tokens/s"));
    add_cost(at_batch("cost of a delta, other vocabulary", batch), with, alone, goal_on_gpu(settings, 0.1), measures);
  }
  if (!settings.device.is_cuda()) return;
  const auto idle =
      decode_rows(models, settings, settings.same ? BenchDelta::same : BenchDelta::none, batch, true).idle;
  if (!idle) return;
  Measure waiting{at_batch("device idle between kernels", batch), 100 * *idle, "%", 0, 0, *idle};
  waiting.fraction_of = "a step";
  waiting.goal = 0.05;
  waiting.at_most = true;
  measures.push_back(waiting);
}

}  // namespace cmc::stages
