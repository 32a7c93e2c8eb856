#include <iostream>
#include <map>
#include <set>

#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/named_file.hpp"
#include "pipeline/records/rows.hpp"
#include "pipeline/records/task_labels.hpp"
#include "pipeline/store/unit_store.hpp"
#include "stages/all_stages.hpp"
#include "stages/running/output_folder.hpp"
#include "stages/verbs/open_unlearning_export.hpp"
#include "stages/verbs/system_choice.hpp"
#include "stages/verbs/verb.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

// The tasks of a stage that hold answers to AlpacaEval's prompts as they are, or to TOFU's.
std::vector<const distributed::Task*> answer_tasks(const distributed::Plan& plan, const Stage& stage) {
  std::vector<const distributed::Task*> tasks;
  const std::string checked(name_of(records::Prompts::checked));
  for (const auto& task : plan.tasks)
    if (task.stage == stage.name && records::labels_of(task.stage, task.parameters, task.name).set != checked)
      tasks.push_back(&task);
  return tasks;
}

// Rows of one system, unit by unit in the plan's order: calls take(row, task) for each. Returns how many.
template <class Row, class Take>
size_t each_row(const OutputFolder& output, const PlannedSystem& chosen, Take take) {
  const store::UnitStore units(output.path());
  size_t rows = 0, missing = 0;
  for (const distributed::Task* task : chosen.tasks) {
    if (!units.has(task->key)) {
      ++missing;
      continue;
    }
    for (const Row& row : records::read_rows<Row>(units.read(task->key)))
      if (!chosen.system.adds_delta() || row.alpha == chosen.system.strength) take(row, *task), ++rows;
  }
  if (missing > 0)
    std::cerr << "warning: " << missing << " units of " << describe(chosen.system)
              << " are missing; the export is incomplete\n";
  return rows;
}

// What is exported, with what it may be compared with.
struct Exported {
  const OutputFolder& output;
  const distributed::Plan& plan;
  const records::Seeds& seeds;
  const PlannedSystem& chosen;
};

// alpaca_eval's model_outputs: a list of {"instruction", "output", "generator"}.
size_t alpaca_eval_outputs(const Exported& from, Json& outputs) {
  const std::string generator = "cmc-" + file_stem(from.chosen.system);
  outputs = Json::array();
  return each_row<records::InstructRow>(
      from.output, from.chosen, [&](const records::InstructRow& row, const distributed::Task&) {
        outputs.push_back({{"instruction", row.prompt}, {"output", row.response}, {"generator", generator}});
      });
}

// What evaluation_main.py of the authors reads: {"prompt", "response"}.
size_t ifeval_responses(const Exported& from, Json& lines) {
  lines = Json::array();
  return each_row<records::IfevalRow>(from.output, from.chosen,
                                      [&](const records::IfevalRow& row, const distributed::Task&) {
                                        lines.push_back({{"prompt", row.prompt}, {"response", row.response}});
                                      });
}

// The official aggregated log: per file an object with values keyed by item (TOFU's evaluate_util.py).
size_t tofu_log(const Exported& from, Json& log) {
  static const std::map<std::string, std::string> log_names = {{"retain", "eval_log.json"},
                                                               {"forget", "eval_log_forget.json"},
                                                               {"real_authors", "eval_real_author_wo_options.json"},
                                                               {"world_facts", "eval_real_world_wo_options.json"}};
  log = Json::object();
  return each_row<records::UnlearnRow>(
      from.output, from.chosen, [&](const records::UnlearnRow& row, const distributed::Task& task) {
        const auto name = log_names.find(records::labels_of(task.stage, task.parameters, task.name).set);
        if (name == log_names.end()) return;  // the holdout set, of which TOFU knows nothing
        Json& set = log[name->second];
        const std::string item = std::to_string(row.item);
        const auto loss = [](double log_prob, int64_t tokens) { return -log_prob / static_cast<double>(tokens); };
        set["avg_gt_loss"][item] = loss(row.answer_logprob, row.answer_tokens);
        set["avg_paraphrased_loss"][item] = loss(row.paraphrase_logprob, row.paraphrase_tokens);
        for (size_t w = 0; row.wrong_logprob && w < row.wrong_logprob->size(); ++w)
          set["average_perturb_loss"][item].push_back(loss(row.wrong_logprob->at(w), row.wrong_tokens.value().at(w)));
        set["rouge1_recall"][item] = row.rouge1_recall;
        set["rougeL_recall"][item] = row.rouge_l_recall;
        set["generated_text"][item] = {row.question, row.generated, row.answer};
      });
}

// Of one system, or of the one that it is compared with; empty where none of it is done.
TofuRows tofu_rows(const OutputFolder& output, const PlannedSystem& chosen) {
  TofuRows rows;
  each_row<records::UnlearnRow>(output, chosen, [&](const records::UnlearnRow& row, const distributed::Task& task) {
    const auto set = metrics::find_tofu_set(records::labels_of(task.stage, task.parameters, task.name).set);
    rows[set.value()].push_back(row);
  });
  return rows;
}

// The same target without the forget set, in the same repetition (of a system that stands for all, the first); without
// tasks where the plan has none.
PlannedSystem retain_only(const Exported& from) {
  PlannedSystem found{from.chosen.system.vanilla(), {}};
  found.system.method = records::Method::retain_only;
  for (const auto* task : answer_tasks(from.plan, unlearn_stage)) {
    const auto labels = records::labels_of(task->stage, task->parameters, task->name);
    if (labels.system.method != records::Method::retain_only || labels.system.target != found.system.target) continue;
    const auto seed = from.seeds.of(task->key);
    if (!found.system.seed) found.system.seed = seed;
    if (seed == found.system.seed) found.tasks.push_back(task);
  }
  return found;
}

size_t open_unlearning(const Exported& from, Json& log) {
  const auto rows = tofu_rows(from.output, from.chosen);
  size_t count = 0;
  for (const auto& [set, some] : rows) count += some.size();
  if (count > 0) log = open_unlearning_log(rows, tofu_rows(from.output, retain_only(from)));
  return count;
}

size_t open_unlearning_means(const Exported& from, Json& summary) {
  Json log;
  const size_t count = open_unlearning(from, log);
  if (count > 0) summary = open_unlearning_summary(log);
  return count;
}

using Convert = size_t (*)(const Exported&, Json&);

// A JSON document, or of a list each entry as a line.
enum class Form { document, lines };

std::string text_of(const Json& content, Form form) {
  if (form == Form::document) return content.dump(2) + "\n";
  std::string lines;
  for (const auto& entry : content) lines += entry.dump() + "\n";
  return lines;
}

// One system into --to, or with --all each into a file of its own in that folder.
void export_answers(const Arguments& arguments, const Stage& stage, Convert convert, Form form = Form::document) {
  const OutputFolder output(arguments.get("folder"));
  const auto plan = output.plan();
  const auto to = std::filesystem::absolute(arguments.get("to"));
  const bool all = arguments.has("all");
  records::Seeds seeds;
  for (const auto& task : plan.tasks) seeds.add(task.key, task.parameters, task.inputs);
  size_t written = 0;
  for (const auto& chosen : chosen_systems(arguments, answer_tasks(plan, stage), seeds)) {
    Json content;
    const size_t rows = convert({output, plan, seeds, chosen}, content);
    const auto file = all ? to / (file_stem(chosen.system) + (form == Form::lines ? ".jsonl" : ".json")) : to;
    if (rows == 0) {
      std::cerr << "warning: " << describe(chosen.system) << " has no finished rows\n";
      continue;
    }
    write_named_file(file, text_of(content, form));
    std::cout << rows << " rows in " << file.string() << "\n";
    ++written;
  }
  if (written == 0)
    throw MissingInput({arguments.get("folder"),
                        "has no finished " + std::string(stage.name) + " rows of what was asked for",
                        "see cmc status"});
}

// How --model calls what a task trained; "": it is not exported.
std::string model_name(const distributed::Task& task) {
  const auto labels = records::labels_of(task.stage, task.parameters, task.name);
  if (task.stage == train_stage.name) {
    const auto role = records::traits_of(labels.system.method).role;
    const std::string name = labels.purpose + ":" + labels.system.delta;
    return role == records::Role::delta ? name : name + ":" + std::string(name_of(role));
  }
  if (task.stage != prepare_stage.name) return "";
  return (labels.system.method == records::Method::retain_only ? "retain_only:" : "prepared:") + labels.system.target;
}

// The task that trained --model: a name, or where several are called so the first digits of a task's key.
const distributed::Task& trained_model(const Arguments& arguments, const distributed::Plan& plan) {
  const std::string asked = arguments.get("model");
  std::set<std::string> known;
  std::vector<const distributed::Task*> found;
  for (const auto& task : plan.tasks) {
    const std::string name = model_name(task);
    if (name.empty()) continue;
    known.insert(name);
    if (name == asked || task.key.starts_with(asked)) found.push_back(&task);
  }
  if (found.size() == 1) return *found.front();
  std::string choices;
  for (const auto* task : found) choices += "\n  --model " + task->key.substr(0, 12) + "   " + task->name;
  if (!found.empty())
    throw Usage({"--model " + asked, "means " + std::to_string(found.size()) + " models of this run:" + choices + "\n",
                 "choose one by its key"});
  for (const auto& name : known) choices += (choices.empty() ? "" : ", ") + name;
  throw Usage({"--model " + asked, "is not a model of this run", "known: " + choices});
}

// A trained model of the run as the Hugging Face folder it already is.
void export_hf(const Arguments& arguments) {
  const OutputFolder output(arguments.get("folder"));
  const auto plan = output.plan();
  const std::string name = arguments.get("model");
  const auto from = output.path() / "checkpoints" / trained_model(arguments, plan).key;
  if (!std::filesystem::exists(from)) throw MissingInput({name, "is not trained yet", "see cmc status"});
  const auto to = std::filesystem::absolute(arguments.get("to"));
  if (std::filesystem::exists(to)) throw CannotCreate({to.string(), "exists already", "give a new folder"});
  create_folder(to.parent_path());
  publish_folder(to, [&](const auto& temporary) {
    std::filesystem::copy(from, temporary, std::filesystem::copy_options::recursive);
  });
  std::cout << name << " in " << to.string() << "\n";
}

ExitCode run(const std::vector<std::string>& given, const distributed::Session& session) {
  po::options_description options("options");
  options.add_options()("to", po::value<std::string>(), "file to write (hf, and with --all: new folder)")(
      "model", po::value<std::string>(),
      "hf: instruct:DELTA, unlearn:DELTA (and :expert, :offset), prepared:MODEL, retain_only:MODEL, or a key's first "
      "digits");
  add_system_options(options);
  Arguments arguments(
      "export alpaca_eval|ifeval|tofu|open_unlearning|open_unlearning_summary|hf DIR --to PATH [options]", options,
      {"format", "folder"});
  if (!arguments.parse(given) || session.world().rank() != 0) return ExitCode::done;
  const std::string format = arguments.get("format");
  if (format == "alpaca_eval")
    export_answers(arguments, instruct_stage, alpaca_eval_outputs);
  else if (format == "ifeval")
    export_answers(arguments, ifeval_stage, ifeval_responses, Form::lines);
  else if (format == "tofu")
    export_answers(arguments, unlearn_stage, tofu_log);
  else if (format == "open_unlearning")
    export_answers(arguments, unlearn_stage, open_unlearning);
  else if (format == "open_unlearning_summary")
    export_answers(arguments, unlearn_stage, open_unlearning_means);
  else if (format == "hf")
    export_hf(arguments);
  else
    throw Usage({"export " + format, "is not a format",
                 "known: alpaca_eval, ifeval, tofu, open_unlearning, open_unlearning_summary, hf"});
  return ExitCode::done;
}

}  // namespace

const Verb export_verb = {"export", "outputs, evaluation logs and models in the formats other tools read", run};

}  // namespace cmc::stages
