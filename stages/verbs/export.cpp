#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/store/unit_store.hpp"
#include "stages/columns.hpp"
#include "stages/output_folder.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

bool matches(const distributed::Task& task, const std::string& stage, const Arguments& arguments) {
  const auto& p = task.parameters;
  if (task.stage != stage || p.at("target") != arguments.get("target")) return false;
  const std::string delta = arguments.has("delta") ? arguments.get("delta") : "";
  const std::string method = arguments.has("method") ? arguments.get("method") : delta.empty() ? "vanilla" : "cmc";
  return p.value("delta", "") == delta && p.at("method") == method && p.value("prompts", "plain") == "plain";
}

// Rows of the chosen strength, in item order: calls take(unit, row) for each. Returns how many.
template <class Take>
size_t each_row(const std::string& stage, const Arguments& arguments, Take take) {
  const OutputFolder output(arguments.get("folder"));
  const store::UnitStore units(output.path());
  const double alpha = arguments.has("delta") ? arguments.get<double>("alpha") : 0;
  size_t rows = 0, missing = 0;
  for (const auto& task : output.plan().tasks) {
    if (!matches(task, stage, arguments)) continue;
    if (!units.has(task.key)) {
      ++missing;
      continue;
    }
    const store::Unit unit = units.read(task.key);
    const auto& alphas = values<double>(unit, "alpha");
    for (size_t row = 0; row < alphas.size(); ++row)
      if (std::abs(alphas[row] - alpha) < 1e-9) take(unit, row), ++rows;
  }
  if (rows == 0)
    throw MissingInput({arguments.get("folder"), "has no finished " + stage + " rows for this target, delta and alpha",
                        "see cmc status, and the experiment's targets, deltas and strengths"});
  if (missing > 0) std::cerr << "warning: " << missing << " units are missing; the export is incomplete\n";
  return rows;
}

void write(const Arguments& arguments, const Json& json, size_t rows) {
  const auto file = std::filesystem::absolute(arguments.get("to"));
  publish_file(file, json.dump(2) + "\n");
  std::cout << rows << " rows in " << file.string() << "\n";
}

// alpaca_eval's model_outputs: a list of {"instruction", "output", "generator"}.
void export_alpaca_eval(const Arguments& arguments) {
  std::string generator = "cmc-" + arguments.get("target");
  if (arguments.has("delta")) generator += "-" + arguments.get("delta") + "-alpha" + Json(arguments.get<double>("alpha")).dump();
  Json outputs = Json::array();
  const size_t rows = each_row("instruct", arguments, [&](const store::Unit& unit, size_t row) {
    outputs.push_back({{"instruction", values<std::string>(unit, "prompt")[row]},
                       {"output", values<std::string>(unit, "response")[row]},
                       {"generator", generator}});
  });
  write(arguments, outputs, rows);
}

// The official aggregated log: per file an object with values keyed by item (TOFU's evaluate_util.py).
void export_tofu(const Arguments& arguments) {
  static const std::map<std::string, std::string> log_names = {{"retain", "eval_log.json"},
                                                               {"forget", "eval_log_forget.json"},
                                                               {"real_authors", "eval_real_author_wo_options.json"},
                                                               {"world_facts", "eval_real_world_wo_options.json"}};
  Json log = Json::object();
  const size_t rows = each_row("unlearn", arguments, [&](const store::Unit& unit, size_t row) {
    Json& set = log[log_names.at(unit.task.at("set").get<std::string>())];
    const std::string item = std::to_string(values<int64_t>(unit, "item")[row]);
    const auto loss = [&](const std::string& name, size_t at) {
      return -values<double>(unit, name + "_logprob")[at] / static_cast<double>(values<int64_t>(unit, name + "_tokens")[at]);
    };
    set["avg_gt_loss"][item] = loss("answer", row);
    set["avg_paraphrased_loss"][item] = loss("paraphrase", row);
    const size_t wrong = values<double>(unit, "wrong_logprob").size() / values<double>(unit, "alpha").size();
    for (size_t w = 0; w < wrong; ++w) set["average_perturb_loss"][item].push_back(loss("wrong", row * wrong + w));
    set["rouge1_recall"][item] = values<double>(unit, "rouge1_recall")[row];
    set["rougeL_recall"][item] = values<double>(unit, "rouge_l_recall")[row];
    set["generated_text"][item] = {values<std::string>(unit, "question")[row], values<std::string>(unit, "generated")[row],
                                   values<std::string>(unit, "answer")[row]};
  });
  write(arguments, log, rows);
}

// A trained model of the run as the Hugging Face folder it already is.
void export_hf(const Arguments& arguments) {
  const OutputFolder output(arguments.get("folder"));
  std::string known;
  for (const auto& task : output.plan().tasks) {
    if (task.stage != "train" && task.stage != "prepare") continue;
    const auto& p = task.parameters;
    const std::string name = task.stage == "train"      ? p.at("kind").get<std::string>() + ":" + p.at("delta").at("name").get<std::string>()
                             : p.at("part") == "retain" ? "retain_only:" + p.at("target").get<std::string>()
                                                        : "prepared:" + p.at("target").get<std::string>();
    known += (known.empty() ? "" : ", ") + name;
    if (name != arguments.get("model")) continue;
    const auto from = output.path() / "checkpoints" / task.key;
    if (!std::filesystem::exists(from)) throw MissingInput({name, "is not trained yet", "see cmc status"});
    const auto to = std::filesystem::absolute(arguments.get("to"));
    if (std::filesystem::exists(to)) throw CannotCreate({to.string(), "exists already", "give a new folder"});
    create_folder(to.parent_path());
    publish_folder(to, [&](const auto& temporary) {
      std::filesystem::copy(from, temporary, std::filesystem::copy_options::recursive);
    });
    std::cout << name << " in " << to.string() << "\n";
    return;
  }
  throw Usage({"--model " + arguments.get("model"), "is not a model of this run", "known: " + known});
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("to", po::value<std::string>(), "file (hf: new folder) to write")(
      "target", po::value<std::string>(), "alpaca_eval, tofu: which target")(
      "delta", po::value<std::string>(), "alpaca_eval, tofu: which delta; none: vanilla")(
      "method", po::value<std::string>(), "alpaca_eval, tofu: which method; default cmc with a delta, else vanilla")(
      "alpha", po::value<double>()->default_value(1.0), "alpaca_eval, tofu: which strength")(
      "model", po::value<std::string>(), "hf: instruct:DELTA, unlearn:DELTA, prepared:MODEL or retain_only:MODEL");
  Arguments arguments("export alpaca_eval|tofu|hf DIR --to PATH [options]", options, {"format", "folder"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string format = arguments.get("format");
  if (format == "alpaca_eval") export_alpaca_eval(arguments);
  else if (format == "tofu") export_tofu(arguments);
  else if (format == "hf") export_hf(arguments);
  else throw Usage({"export " + format, "is not a format", "known: alpaca_eval, tofu, hf"});
  return ExitCode::done;
}

}  // namespace

const Verb export_verb = {"export", "outputs, evaluation logs and models in the formats other tools read", run};

}  // namespace cmc::stages
