#include <ATen/Parallel.h>
#include <torch/version.h>

#include <iostream>
#include <sstream>

#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/kernels/queue.hpp"
#include "pipeline/model/device_memory.hpp"
#include "stages/bench/measurements.hpp"
#include "stages/verbs/verb.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

std::vector<int64_t> batches_of(const std::string& text) {
  std::vector<int64_t> batches;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream number(part);
    int64_t batch = 0;
    if (!(number >> batch) || !number.eof() || batch < 1 || batch > 65536)
      throw Usage({"--batch " + text, "is no list of numbers from 1 to 65536", "give for example --batch 1,64"});
    batches.push_back(batch);
  }
  if (batches.empty()) throw Usage({"--batch", "is empty", "give for example --batch 1,64"});
  return batches;
}

po::options_description options() {
  const std::string shapes = known_shape_names();
  po::options_description options("options");
  options.add_options()("shape", po::value<std::string>()->default_value("smollm2_135m"), shapes.c_str())(
      "layers", po::value<int64_t>()->default_value(0), "so many layers of it, for a small machine; 0: all")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu or cuda")(
      "dtype", po::value<std::string>()->default_value("auto"), "auto, float32 or bfloat16")(
      "batch", po::value<std::string>(), "sequences decoded together, a list; 1,64 on CUDA, 1,16 else")(
      "context", po::value<int64_t>(), "tokens of each sequence before the measured ones; 512 on CUDA, 128 else")(
      "steps", po::value<int64_t>(), "decoding steps measured; 64 on CUDA, 16 else")(
      "delta", po::value<std::string>()->default_value("same,other"),
      "none, same, other, or both: deltas to measure with")("json", po::bool_switch(),
                                                            "one JSON object in place of the table");
  return options;
}

BenchSettings settings_of(const Arguments& arguments, const Compute& compute) {
  const bool gpu = compute.device.is_cuda();
  BenchSettings settings;
  settings.device = compute.device;
  settings.dtype = compute.dtype;
  const Range counts = {.least = 1, .most = 1e6};
  settings.context = arguments.has("context") ? arguments.number<int64_t>("context", counts) : gpu ? 512 : 128;
  settings.steps = arguments.has("steps") ? arguments.number<int64_t>("steps", counts) : gpu ? 64 : 16;
  const std::string delta = arguments.get("delta");
  if (delta != "none" && delta != "same" && delta != "other" && delta != "same,other")
    throw Usage({"--delta " + delta, "is not known", "known: none; same; other; same,other"});
  settings.same = delta.starts_with("same");
  settings.other = delta.ends_with("other");
  return settings;
}

std::vector<Measure> measured(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
                              const std::vector<int64_t>& batches) {
  std::vector<Measure> measures;
  Measure making{"weights made on the device", models.seconds, "s", 0, 0, {}};
  measures.push_back(making);
  const auto with_peak = [&](const std::string& of, const auto& work) {
    model::restart_peak_bytes(settings.device);
    work();
    measures.push_back(
        {"peak memory, " + of, static_cast<double>(model::peak_bytes(settings.device)) / 1e9, "GB", 0, 0, {}});
  };
  warm_up(models, settings);
  for (const int64_t batch : batches) {
    log_info("decoding, batch ", batch);
    with_peak("batch " + std::to_string(batch), [&] { measure_decoding(models, machine, settings, batch, measures); });
  }
  log_info("scoring");
  with_peak("scoring", [&] { measure_scoring(models, machine, settings, measures); });
  if (settings.same) {
    log_info("training");
    with_peak("training", [&] { measure_training(models, machine, settings, measures); });
  }
  return measures;
}

Json to_json(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
             const std::vector<Measure>& measures) {
  const auto& config = models.base->config();
  Json lines = Json::array();
  for (const auto& measure : measures) lines.push_back(stages::to_json(measure));
  return {{"machine",
           {{"device", settings.device.is_cuda() ? "cuda" : "cpu"},
            {"name", machine.name},
            {"threads", at::get_num_threads()},
            {"libtorch", TORCH_VERSION},
            {"copy_bytes_per_second", machine.bandwidth},
            {"matmul_operations_per_second", machine.matmul}}},
          {"shape", models.shape},
          {"layers", models.base->config().layers},
          {"dtype", settings.dtype == torch::kBFloat16 ? "bfloat16" : "float32"},
          {"own_kernels", kernels::compiled()},
          {"weight_bytes", models.bytes},
          {"operations_of_a_prompt", footprint_of(config).operations(config, static_cast<double>(settings.context), 1)},
          {"context", settings.context},
          {"steps", settings.steps},
          {"measures", lines}};
}

void print_table(const BenchModels& models, const Machine& machine, const BenchSettings& settings,
                 const std::vector<Measure>& measures) {
  const char* const dtype = settings.dtype == torch::kBFloat16 ? "bfloat16" : "float32";
  std::cout << machine.name;
  if (settings.device.is_cpu()) std::cout << ", " << at::get_num_threads() << " threads";
  std::cout << "; LibTorch " << TORCH_VERSION << "\n";
  std::cout << "copies " << machine.bandwidth / 1e9 << " GB/s (read + written), " << dtype << " matmul "
            << machine.matmul / 1e12 << " TFLOP/s\n";
  std::cout << models.shape << ", " << models.base->config().layers << " layers, " << dtype << ", "
            << models.bytes / 1e9 << " GB of weights; " << settings.context << " tokens of context, " << settings.steps
            << " steps\n\n"
            << table_of(measures);
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  Arguments arguments("bench [--shape NAME] [--device cuda] [--json]", options(), {});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  torch::set_num_threads(distributed::threads_of_this_rank(session));
  const Compute compute = compute_named(arguments.get("device"), arguments.get("dtype"), session.rank_on_node());
  const BenchSettings settings = settings_of(arguments, compute);
  const auto batches = batches_of(arguments.has("batch")     ? arguments.get("batch")
                                  : compute.device.is_cuda() ? "1,64"
                                                             : "1,16");
  const auto config = shape_named(arguments.get("shape"), arguments.get<int64_t>("layers"));
  log_info("measuring the machine");
  const Machine machine = measure_machine(compute.device, compute.dtype);
  log_info("making the weights");
  const BenchModels models = make_models(arguments.get("shape"), config, settings);
  const auto measures = measured(models, machine, settings, batches);
  if (arguments.get<bool>("json"))
    std::cout << to_json(models, machine, settings, measures).dump(2) << "\n";
  else
    print_table(models, machine, settings, measures);
  return ExitCode::done;
}

}  // namespace

const Verb bench_verb = {"bench", "what this machine reaches: decoding, scoring, training, beside its own limits", run};

}  // namespace cmc::stages
