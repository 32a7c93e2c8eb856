#include "pipeline/records/ifeval_metrics.hpp"

#include <algorithm>
#include <numeric>
#include <sstream>

#include "pipeline/metrics/summary.hpp"

namespace cmc::records {
namespace {

double all_of(const std::vector<int32_t>& verdicts) {
  return std::ranges::all_of(verdicts, [](int32_t followed) { return followed == 1; }) ? 1 : 0;
}

double sum_of(const std::vector<int32_t>& verdicts) {
  return static_cast<double>(std::accumulate(verdicts.begin(), verdicts.end(), int64_t{0}));
}

}  // namespace

const std::vector<RowMetric<IfevalRow>>& ifeval_metrics() {
  using Row = IfevalRow;
  static const std::vector<RowMetric<Row>> list = {
      {{.name = metric::ifeval_prompt_strict,
        .title = "Prompts, strict",
        .unit = "1",
        .better = Better::higher,
        .definition = "share of prompts all of whose instructions the response follows"},
       [](const Row& row) { return all_of(row.strict); }},
      {{.name = metric::ifeval_prompt_loose,
        .title = "Prompts, loose",
        .unit = "1",
        .better = Better::higher,
        .definition = "the same where an instruction may be followed without the response's first or last line or "
                      "asterisks"},
       [](const Row& row) { return all_of(row.loose); }},
      {{.name = metric::ifeval_followed_strict,
        .title = "Followed, strict",
        .unit = "1",
        .better = Better::higher,
        .definition = "instructions of a prompt that the response follows"},
       [](const Row& row) { return sum_of(row.strict); }},
      {{.name = metric::ifeval_followed_loose,
        .title = "Followed, loose",
        .unit = "1",
        .better = Better::higher,
        .definition = "the same, loosely"},
       [](const Row& row) { return sum_of(row.loose); }},
      {{.name = metric::ifeval_instructions,
        .title = "Instructions",
        .unit = "1",
        .definition = "instructions of a prompt"},
       [](const Row& row) { return static_cast<double>(row.strict.size()); }},
      {{.name = metric::ifeval_stopped,
        .title = "Ended, %",
        .unit = "%",
        .digits = 1,
        .definition = "responses that ended by themselves within the length limit"},
       [](const Row& row) { return row.stop_reason == "length" ? 0.0 : 100.0; }}};
  return list;
}

std::vector<std::string> instruction_ids(const IfevalRow& row) {
  std::istringstream words(row.instruction_ids);
  std::vector<std::string> ids;
  for (std::string id; words >> id;) ids.push_back(id);
  if (ids.size() != row.strict.size() || ids.size() != row.loose.size())
    throw BadData({"ifeval: item " + std::to_string(row.item),
                   "has " + std::to_string(ids.size()) + " instructions and " + std::to_string(row.strict.size()) +
                       " strict and " + std::to_string(row.loose.size()) + " loose verdicts",
                   "run the task again"});
  return ids;
}

std::map<std::string, std::vector<IfevalRow>> rows_by_kind(const std::vector<IfevalRow>& rows) {
  std::map<std::string, std::vector<IfevalRow>> by_kind;
  for (const auto& row : rows) {
    std::map<std::string, IfevalRow> parts;
    const auto ids = instruction_ids(row);
    for (size_t i = 0; i < ids.size(); ++i) {
      auto& part = parts[ids[i]];
      part.alpha = row.alpha;
      part.item = row.item;
      part.strict.push_back(row.strict[i]);
      part.loose.push_back(row.loose[i]);
    }
    for (auto& [id, part] : parts) by_kind[id].push_back(std::move(part));
  }
  return by_kind;
}

Figure instruction_share(const View& view, const System& system, std::string_view set, const InstructionShare& of) {
  const auto followed = view.values(system, set, of.followed),
             asked = view.values(system, set, metric::ifeval_instructions);
  if (asked.empty() || followed.size() != asked.size()) return {};
  const auto ratio = metrics::ratio_of_sums(followed, asked);
  return {ratio.value, ratio.standard_error, std::ssize(asked), unknown};
}

}  // namespace cmc::records
