#include <ATen/Version.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>
#include <vector>

#include "pipeline/core/cards.hpp"
#include "pipeline/core/date.hpp"
#include "pipeline/core/provenance.hpp"
#include "pipeline/kernels/queue.hpp"
#include "pipeline/model/device_memory.hpp"
#include "pipeline/text/chat_renderer.hpp"
#include "stages/experiment/variables.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

// One line of what was found; `remedy` is printed when it is a problem.
struct Finding {
  bool good;
  std::string what, remedy;
};

bool on_path(const std::string& program) {
  std::istringstream folders(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (std::filesystem::exists(std::filesystem::path(folder) / program)) return true;
  return false;
}

Finding program(const std::string& name, const std::string& purpose, const std::string& package) {
  const bool found = on_path(name);
  return {found, name + (found ? ": found" : ": not found") + " (" + purpose + ")", "apt-get install " + package};
}

Finding folder(const char* variable, const std::string& purpose, const std::string& remedy) {
  const std::string path = shipped_folder(variable);
  const bool good = std::filesystem::is_directory(path);
  return {good, path + (good ? "" : " is not there") + " (" + purpose + ", " + variable + ")", remedy};
}

Finding chat_templates() {
  const std::string purpose = " (chat templates)";
  try {
    return {true, text::ChatRenderer({"doctor", "", {}}, pinned_date).program() + purpose, ""};
  } catch (const Error& error) {
    return {false, error.problem().where + " " + error.problem().what + purpose, error.problem().remedy};
  }
}

Finding devices(const distributed::Session& session) {
  const auto count = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  const int ranks = session.ranks_on_node();
  std::string text = std::to_string(count) + " CUDA devices for " + std::to_string(ranks) + " ranks on this node";
  const bool shared = count > 0 && ranks > static_cast<int>(count);
  return {!shared, text, "more ranks than devices: several ranks share one; start fewer"};
}

// One number through a kernel: what a driver and a LibTorch that do not fit each other fail at.
Finding card(int index, const Card& facts) {
  const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(index));
  std::ostringstream text;
  text << "card " << index << ": " << facts.name << ", capability " << facts.capability / 10 << "."
       << facts.capability % 10 << ", " << facts.multiprocessors << " multiprocessors, ";
  try {
    const auto memory = model::memory_of(device);
    text << memory.free / 1'000'000'000 << " of " << memory.total / 1'000'000'000 << " GB free, ";
    const bool right = torch::ones({1000}, torch::TensorOptions().device(device)).sum().item<float>() == 1000.0f;
    text << (right ? "computes" : "computes wrongly");
    return {right, text.str(), "have the card checked"};
  } catch (const std::exception& error) {
    const std::string reason = error.what();
    text << "a kernel fails: " << reason.substr(0, reason.find('\n'));
    return {false, text.str(),
            "use a LibTorch for this driver and card, or free the card's memory (nvidia-smi names who holds it)"};
  }
}

std::vector<Finding> cards_found() {
  std::vector<Finding> findings;
  const auto known = cards();
  const int usable = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  for (int index = 0; index < usable; ++index)
    findings.push_back(
        card(index, static_cast<size_t>(index) < known.size() ? known[static_cast<size_t>(index)] : Card{}));
  if (usable == 0)
    for (const auto& facts : known)
      findings.push_back({false, facts.name + " is there, but this LibTorch cannot use it",
                          "build with a LibTorch for CUDA; see docs/gpu.md"});
  const bool compiled = kernels::compiled();
  findings.push_back({compiled || known.empty(),
                      std::string("own CUDA kernels: ") + (compiled ? "" : "not ") + "compiled in",
                      "torch operations stand in, which is slower: build where nvcc is on PATH; see docs/gpu.md"});
  return findings;
}

Finding threads(const distributed::Session& session) {
  const int each = distributed::threads_of_this_rank(session), ranks = session.ranks_on_node();
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return {each * ranks <= cores,
          std::to_string(ranks) + " ranks on this node × " + std::to_string(each) + " threads on " +
              std::to_string(cores) + " cores",
          "set OMP_NUM_THREADS to cores ÷ ranks, or mpirun --bind-to none"};
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  Arguments arguments("doctor", boost::program_options::options_description("options"), {});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const Json facts = provenance();  // named: items() does not keep it alive
  for (const auto& [key, value] : facts.items())
    std::cout << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
  std::cout << "libtorch at run time: " << TORCH_VERSION << ", CPU capability " << at::get_cpu_capability() << "\n\n";
  bool all_good = true;
  std::vector<Finding> findings = cards_found();
  for (const auto& finding :
       {devices(session), threads(session), program("mpirun", "several ranks", "openmpi-bin"),
        program("gnuplot", "figures of cmc-report", "gnuplot-nox"),
        program("h5dump", "a look into results.h5", "hdf5-tools"), chat_templates(),
        folder("CMC_MODELS", "models of the shipped experiments",
               "jobs/setup.sh --models, jobs/fetch.sh models …, or name their folder"),
        folder("CMC_DATA", "data of the shipped experiments", "jobs/fetch.sh data, or name their folder")})
    findings.push_back(finding);
  for (const auto& finding : findings) {
    std::cout << (finding.good ? "ok       " : "problem  ") << finding.what << "\n";
    if (!finding.good) std::cout << "         → " << finding.remedy << "\n";
    all_good = all_good && finding.good;
  }
  std::cout << (all_good ? "\nall is well\n" : "\nsee the arrows above; what does not need them works\n");
  return ExitCode::done;
}

}  // namespace

const Verb doctor_verb = {"doctor", "what is installed, devices, threads, and what to do about each problem", run};

}  // namespace cmc::stages
