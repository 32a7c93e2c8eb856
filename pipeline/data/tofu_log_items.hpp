#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::data {

// What an evaluation log of TOFU holds, whichever program wrote it. A loss is the mean over an answer's tokens (nat).

struct LoggedTexts {
  std::string generated;
  std::string reference;
};

// What one item of a set has, all of them have.
struct TofuLogItem {
  std::string key;                         // its place in the set, as the log writes it: "0"
  std::optional<double> answer_loss;       // of the answer
  std::optional<double> paraphrased_loss;  // of the paraphrased answer; of the answer itself in the two real sets
  std::vector<double> wrong_losses;        // of each wrong answer, as many for every item of a set; empty: not logged
  std::optional<double> rouge_l_recall;    // [0, 1], as the log has it
  std::optional<LoggedTexts> texts;

  bool has_truth_ratio() const { return paraphrased_loss && !wrong_losses.empty(); }
};

struct TofuLogSet {
  std::vector<TofuLogItem> items;
  // Means over the set that the log itself tells, [0, 1].
  std::optional<double> rouge_l;
  std::optional<double> probability;
  std::optional<double> truth_ratio;  // geometric
};

// What a log tells of an audit: its mean, and where it has them the scores that membership is inferred from.
struct LoggedAudit {
  std::optional<double> told;
  std::vector<double> forget, holdout;
};

struct TofuLog {
  std::filesystem::path file;
  std::string content_hash;  // SHA-256 of the file
  TofuLogSet retain;
  TofuLogSet real_authors;
  TofuLogSet world_facts;
  TofuLogSet forget;
  // As the log itself tells them, [0, 1].
  std::optional<double> model_utility;
  std::optional<double> forget_quality;
  std::map<std::string, LoggedAudit> audits;  // of open-unlearning, by its names: "extraction_strength", "mia_min_k"
};

enum class TofuLogPart {
  all,                  // four sets
  forget_truth_ratios,  // the forget set's paraphrased_loss and wrong_losses, all that a retain-only model's log is
                        // read for beside its audits; the other members stay empty
};

// A logged value; `where` names it in errors. Each throws BadData on what is no number (Python's NaN and Infinity
// included) or lies outside. Rounding may leave the loss of a certain answer a hair below 0.
double logged_loss(const Json& value, const std::string& where);                // from 0 on
double logged_fraction(const Json& value, const std::string& where);            // [0, 1]
std::vector<double> logged_losses(const Json& list, const std::string& where);  // one at least

// Throws BadData where `item` has other than as many wrong answers as `first`; `where` is those of `item`.
void expect_as_many_wrong(const TofuLogItem& item, const TofuLogItem& first, const std::string& where);

}  // namespace cmc::data
