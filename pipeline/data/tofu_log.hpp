#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace cmc::data {

// TOFU's evaluation log eval_log_aggregated.json, as locuslab/tofu's evaluate_util.py writes it: one object per set, in
// it one object per field, in that one value per item. A loss is the mean over an answer's tokens (nat).

struct LoggedTexts {
  std::string generated;
  std::string reference;
};

struct TofuLogItem {
  std::string key;                   // its place in the set, as the log writes it: "0"
  double answer_loss = 0;            // avg_gt_loss
  double paraphrased_loss = 0;       // avg_paraphrased_loss: of the answer itself in the two real sets
  std::vector<double> wrong_losses;  // average_perturb_loss: of each wrong answer, as many for every item of a set
  double rouge_l_recall = 0;         // rougeL_recall, [0, 1], as the log has it
  std::optional<LoggedTexts> texts;  // generated_text, [prompt, generated, reference], where the log has it
};

struct TofuLog {
  std::filesystem::path file;
  std::string content_hash;               // SHA-256 of the file
  std::vector<TofuLogItem> retain;        // "eval_log.json"
  std::vector<TofuLogItem> real_authors;  // "eval_real_author_wo_options.json"
  std::vector<TofuLogItem> world_facts;   // "eval_real_world_wo_options.json"
  std::vector<TofuLogItem> forget;        // "eval_log_forget.json"
};

enum class TofuLogPart {
  all,                  // four sets
  forget_truth_ratios,  // the forget set's paraphrased_loss and wrong_losses, all that a retain-only model's log is
                        // read for; the other members stay empty
};

// Throws MissingInput, or BadData naming file, set, item and field: sets or fields missing (all of them named), a field
// not keyed by item, an item that one field has and another has not, a loss that is no number from 0 on (Python's NaN
// and Infinity included), wrong answers of another count. Other sets and fields are left alone.
TofuLog read_tofu_log(const std::filesystem::path& file, TofuLogPart part = TofuLogPart::all);

}  // namespace cmc::data
