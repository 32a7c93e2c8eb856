// Drives pipeline/train from Python: one JSON request (a file) in, one JSON answer on stdout.
#include <ATen/Parallel.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>

#include "pipeline/checkpoint/model_config.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/model/lora.hpp"
#include "pipeline/model/sum_order.hpp"
#include "pipeline/train/batches.hpp"
#include "pipeline/train/checkpoint.hpp"
#include "pipeline/train/delta.hpp"
#include "pipeline/train/gradient.hpp"
#include "pipeline/train/held_out.hpp"
#include "pipeline/train/schedule.hpp"
#include "pipeline/train/trainer.hpp"

namespace cmc::train {
namespace {

struct Request {
  Json json;
  model::TensorGroup group = {};         // that holds what is "split": the trained model, frozen ones
  distributed::Communicator alike = {};  // the ranks with the same part of it in other groups
  std::vector<Example> examples(const std::string& key) const {
    std::vector<Example> all;
    for (const Json& each : json.value(key, Json::array())) all.push_back({each["tokens"], each["labels"]});
    return all;
  }
  TrainData data() const { return {examples("examples"), examples("retain"), examples("refusals")}; }
  int64_t held_out() const { return json.value("held_out", int64_t{0}); }  // last examples, evaluated on
  TrainSettings settings() const;
  std::vector<FrozenModel> frozen() const;
  bool is_split() const { return group.is_split(); }
  model::DecoderModel load(const Json& folder, bool split) const {
    if (!split) return model::DecoderModel::load(folder.get<std::string>(), torch::kFloat32, torch::kCPU);
    return model::DecoderModel::load(folder.get<std::string>(), torch::kFloat32, torch::kCPU, group.tensor_rank())
        .over(group);
  }
};

// The most memory of its own that this process holds while this lives, beyond what it held before; pages of mapped
// files, which ranks of a node share, do not count.
class PeakMemory {
 public:
  PeakMemory()
      : before_(held()), thread_([this](const std::stop_token& end) {
          while (!end.stop_requested()) {
            most_ = std::max<int64_t>(most_, held());
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
          }
        }) {}
  int64_t bytes() const { return most_ - before_; }

 private:
  static int64_t held() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
    return 0;
  }
  int64_t before_;
  std::atomic<int64_t> most_ = 0;
  std::jthread thread_;
};

TrainSettings Request::settings() const {
  const Json& j = json["settings"];
  TrainSettings s = j.value("protocol", "instruction") == "unlearning" ? unlearning_settings() : instruction_settings();
  s.objective = objective(j.value("objective", std::string(name_of(s.objective))));
  s.mean = j.value("mean", "micro_batches") == "tokens" ? LossMean::tokens : LossMean::micro_batches;
  s.alpha = j.value("alpha", s.alpha);
  s.forget = published_settings(s.objective);
  const Json forget = j.value("forget", Json::object());
  s.forget.weight = forget.value("weight", s.forget.weight);
  s.forget.beta = forget.value("beta", s.forget.beta);
  s.forget.beta2 = forget.value("beta2", s.forget.beta2);
  s.forget.margin = forget.value("margin", s.forget.margin);
  s.forget.bound = forget.value("bound", s.forget.bound);
  s.forget.skipped = forget.value("skipped", s.forget.skipped);
  s.batch = j.value("batch", s.batch);
  s.accumulation = j.value("accumulation", s.accumulation);
  s.epochs = j.value("epochs", s.epochs);
  s.max_steps = j.value("max_steps", s.max_steps);
  s.learning_rate = j.value("learning_rate", s.learning_rate);
  s.schedule = schedule_shape(j.value("schedule", std::string(name_of(s.schedule))));
  if (j.contains("warmup_steps")) s.warmup = {.steps = j["warmup_steps"]};
  s.schedule_floor = j.value("schedule_floor", s.schedule_floor);
  s.adamw.beta1 = j.value("beta1", s.adamw.beta1);
  s.adamw.beta2 = j.value("beta2", s.adamw.beta2);
  s.adamw.weight_decay = j.value("weight_decay", s.adamw.weight_decay);
  s.max_gradient_norm = j.value("max_gradient_norm", s.max_gradient_norm);
  s.seed = j.value("seed", s.seed);
  s.shares = j.value("shares", s.shares);
  s.checkpoint_every = j.value("checkpoint_every", s.checkpoint_every);
  s.evaluate_every = j.value("evaluate_every", s.evaluate_every);
  s.keep = kept_weights(j.value("keep", std::string(name_of(s.keep))));
  s.loss_memory_bytes = j.value("loss_memory_bytes", s.loss_memory_bytes);
  if (j.contains("pass_tokens")) s.pass_tokens = j["pass_tokens"].get<int64_t>();
  s.deterministic = j.value("deterministic", s.deterministic);
  s.recompute_layers = j.value("recompute_layers", s.recompute_layers);
  return s;
}

std::vector<FrozenModel> Request::frozen() const {
  std::vector<FrozenModel> all;
  for (const Json& each : json.value("frozen", Json::array())) {
    FrozenModel frozen;
    frozen.coefficient = each.value("coefficient", 1.0);
    frozen.model = std::make_shared<const model::DecoderModel>(load(each["folder"], each.value("split", false)));
    HiddenStoreSettings settings;
    settings.memory_bytes = each.value("memory_bytes", settings.memory_bytes);
    settings.spill_folder = each.value("spill_folder", "");
    if (each.contains("pass_tokens")) settings.pass_tokens = each["pass_tokens"].get<int64_t>();
    if (each.contains("device_bytes")) settings.device_bytes = each["device_bytes"].get<int64_t>();
    if (each.value("kept_as", "") == "bfloat16") settings.kept_as = torch::kBFloat16;
    if (each.value("keep", true)) frozen.states = std::make_shared<HiddenStore>(frozen.model, settings);
    all.push_back(frozen);
  }
  return all;
}

Json to_json(const StepReport& r) {
  return {{"step", r.step},
          {"total", r.total},
          {"epoch", r.epoch},
          {"loss", r.loss},
          {"examples_loss", r.examples_loss},
          {"refusals_loss", r.refusals_loss},
          {"retain_loss", r.retain_loss},
          {"learning_rate", r.learning_rate},
          {"gradient_norm", r.gradient_norm},
          {"seconds", r.seconds},
          {"tokens", r.tokens},
          {"labels", r.labels}};
}

Json to_json(const HeldOutLoss& h) {
  return {{"step", h.step},
          {"loss", h.loss},
          {"examples_loss", h.examples_loss},
          {"refusals_loss", h.refusals_loss},
          {"retain_loss", h.retain_loss}};
}

// "adapters": a peft folder, or the settings of new ones.
model::DecoderModel trained_model(const Request& request) {
  const auto model = request.load(request.json["trained"], request.json.value("split", false));
  if (!request.json.contains("adapters")) return model;
  const Json& adapters = request.json["adapters"];
  if (adapters.is_string()) return model.with_adapters(std::filesystem::path(adapters.get<std::string>()));
  return model.with_adapters({.rank = adapters["rank"],
                              .alpha = adapters["alpha"],
                              .dropout = adapters.value("dropout", 0.0),
                              .targets = adapters["targets"]},
                             adapters.value("seed", uint64_t{0}));
}

// Trains; `kill_after`: ends this process with -9 after that step, as the machine may.
Json train_from(const Request& request, const distributed::Session& session) {
  const PeakMemory memory;
  model::DecoderModel trained = trained_model(request);
  TrainData data = request.data();
  const TrainData held_out = hold_out(data, request.held_out());
  Training training{.trained = trained,
                    .frozen = request.frozen(),
                    .data = data,
                    .held_out = request.held_out() > 0 ? &held_out : nullptr,
                    .settings = request.settings(),
                    .group = request.is_split() ? request.alike : session.world(),
                    .checkpoints = request.json.value("checkpoints", ""),
                    .identity = request.json.value("identity", ""),
                    .report = {},
                    .evaluated = {},
                    .stop = {}};
  const int64_t kill_after = request.json.value("kill_after", 0), stop_after = request.json.value("stop_after", 0);
  int64_t steps = 0;
  training.report = [&](const StepReport& report) {
    if (report.step == kill_after) std::raise(SIGKILL);
  };
  training.stop = [&] { return ++steps == stop_after; };
  Json answer = {{"reports", Json::array()}, {"held_out", Json::array()}, {"stores", Json::array()}};
  const History history = train(training);
  if (request.json.value("tells_memory", false))
    for (const std::string& bytes : session.world().all_gather(std::to_string(memory.bytes())))
      answer["peak_bytes"].push_back(std::stoll(bytes));
  for (const StepReport& report : history.steps) answer["reports"].push_back(to_json(report));
  for (const HeldOutLoss& loss : history.held_out) answer["held_out"].push_back(to_json(loss));
  for (const FrozenModel& frozen : training.frozen) {
    if (!frozen.states) continue;
    answer["stores"].push_back({{"examples", frozen.states->examples()},
                                {"memory_bytes", frozen.states->memory_bytes()},
                                {"spilled_bytes", frozen.states->spilled_bytes()}});
  }
  if (request.json.contains("output") &&
      (session.world().rank() == 0 || (trained.group().is_split() && training.group.rank() == 0))) {
    save_model(trained, request.json["tokenizer"].get<std::string>(), request.json["output"].get<std::string>());
  }
  return answer;
}

// Loss and gradient of the first step.
Json gradient_from(const Request& request) {
  model::DecoderModel trained = trained_model(request);
  const TrainData data = request.data();
  const Training training{.trained = trained,
                          .frozen = request.frozen(),
                          .data = data,
                          .settings = request.settings(),
                          .group = {},
                          .checkpoints = {},
                          .identity = {},
                          .report = {},
                          .stop = {}};
  trained.require_gradients(true);
  FlatTensors gradients(trained.trainable(), 0);
  attach(trained, gradients);
  std::optional<Reference> reference;
  if (parts_of(training.settings.objective).compares()) reference.emplace(training);
  double loss = 0;
  const auto step = batches_of_step(data, training.settings, 0);
  std::vector<WeighedBatch> together;
  for (const MicroBatch& batch : step) {
    together.push_back({batch, loss_weights(training.settings, batch, step)});
    if (training.settings.pass_tokens) continue;  // all of the step in one pass
    loss += add_gradient(training, reference ? &*reference : nullptr, together).loss;
    together.clear();
  }
  if (!together.empty()) loss += add_gradient(training, reference ? &*reference : nullptr, together).loss;
  const model::TrainedParts parts = trained.trained_parts();
  parts.complete(gradients.views());
  Json answer = {{"loss", loss}, {"gradients", Json::object()}, {"norm", parts.norm(gradients.views())}};
  for (const auto& [name, gradient] : parts.as_stored(gradients.views())) {
    const torch::Tensor flat = gradient.reshape({-1}).contiguous();
    answer["gradients"][name] = std::vector<float>(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  }
  return answer;
}

// Which examples and retain partners each micro-batch of each step has, by index.
Json batches_from(const Request& request) {
  TrainData data = request.data();
  hold_out(data, request.held_out());
  const TrainSettings settings = request.settings();
  const auto indices = [](const std::vector<const Example*>& chosen, const std::vector<Example>& all) {
    Json list = Json::array();
    for (const Example* each : chosen) list.push_back(each - all.data());
    return list;
  };
  Json steps = Json::array();
  for (int64_t step = 0; step < total_steps(settings, std::ssize(data.examples)); ++step) {
    Json batches = Json::array();
    for (const MicroBatch& batch : batches_of_step(data, settings, step)) {
      batches.push_back({{"examples", indices(batch.examples, data.examples)},
                         {"refusals", indices(batch.refusals, data.refusals)},
                         {"retain", indices(batch.retain, data.retain)}});
    }
    steps.push_back(batches);
  }
  return {{"steps", steps}};
}

Json schedule_from(const Request& request) {
  const int64_t total = request.json["total"];
  const int64_t warmup = request.json.contains("warmup_ratio")
                             ? warmup_steps({.ratio = request.json["warmup_ratio"]}, total, total)
                             : request.json["warmup"].get<int64_t>();
  Json factors = Json::array();
  for (int64_t step = 0; step < total; ++step) {
    factors.push_back(learning_rate_factor(schedule_shape(request.json["shape"].get<std::string>()), step, warmup,
                                           total, request.json.value("floor", 0.0)));
  }
  return {{"warmup", warmup}, {"factors", factors}};
}

Json encode_from(const Request& request) {
  const auto tokenizer = text::load_tokenizer(request.json["tokenizer"].get<std::string>());
  Json examples = Json::array();
  for (const Json& item : request.json["items"]) {
    const std::string prompt = item["prompt"], answer = item["answer"];
    const Example example =
        request.json["kind"] == "answer"
            ? encode_answer(*tokenizer, prompt, answer, request.json.value("max_tokens", int64_t{500}))
            : encode_instruction(*tokenizer, prompt, answer);
    examples.push_back({{"tokens", example.tokens}, {"labels", example.labels}});
  }
  return {{"examples", examples}};
}

Json create_from(const Request& request) {
  const auto frozen =
      model::DecoderModel::load(request.json["template"].get<std::string>(), torch::kFloat32, torch::kCPU);
  Json config = request.json.value("config", Json());
  if (request.json.contains("hidden")) {
    config = llama_delta_config(frozen.config().vocabulary, request.json["hidden"], request.json["layers"]);
  }
  const auto delta = create_delta(config, frozen, request.json.value("seed", uint64_t{0}), torch::kCPU);
  save_model(delta, request.json["tokenizer"].get<std::string>(), request.json["output"].get<std::string>());
  return {{"parameters", delta.parameter_count()}};
}

// "groups" of ranks hold a model each, in "blocks" of layers.
void deal_ranks(const distributed::Communicator& world, Request& request) {
  const int groups = request.json.value("groups", 1), together = world.size() / groups;
  std::vector<int> mine, alike;
  for (int i = 0; i < together; ++i) mine.push_back(world.rank() / together * together + i);
  for (int i = 0; i < groups; ++i) alike.push_back(i * together + world.rank() % together);
  request.group = {groups == 1 ? world : world.group(mine, world.rank() / together), torch::kCPU,
                   request.json.value("blocks", 1)};
  request.alike = world.group(alike, groups + world.rank() % together);
}

Json answer(const Request& request, const distributed::Session& session) {
  const std::string command = json_field<std::string>(request.json, "command", "request");
  if (command == "train") return train_from(request, session);
  if (command == "gradient") return gradient_from(request);
  if (command == "batches") return batches_from(request);
  if (command == "schedule") return schedule_from(request);
  if (command == "encode") return encode_from(request);
  if (command == "create") return create_from(request);
  if (command == "one_order")
    return model::sums_in_one_order(checkpoint::read_model_config(request.json["folder"].get<std::string>()));
  throw Usage({"request", "has the unknown command " + command, ""});
}

}  // namespace
}  // namespace cmc::train

int main(int argc, char** argv) {
  try {
    cmc::distributed::Session session(argc, argv);
    torch::set_num_threads(cmc::distributed::threads_of_this_rank(session));
    if (argc != 2) throw cmc::Usage({"probe_train", "takes one request file", ""});
    cmc::train::Request request{cmc::read_json(argv[1])};
    if (request.json.value("tensor_parallel", false)) cmc::train::deal_ranks(session.world(), request);
    const cmc::Json answer = cmc::train::answer(request, session);
    if (session.world().rank() == 0) std::cout << answer.dump() << std::endl;
    return 0;
  } catch (const cmc::Error& error) {
    std::cerr << error.what() << std::endl;
    return static_cast<int>(error.code());
  }
}
