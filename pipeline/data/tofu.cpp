#include "pipeline/data/tofu.hpp"

#include <algorithm>
#include <unordered_set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

namespace fs = std::filesystem;

std::string sets_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".json" || entry.path().extension() == ".jsonl")
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

fs::path file_of(const fs::path& folder, std::string_view set) {
  if (set.empty() || set.find_first_of("/\\") != std::string_view::npos)
    throw BadData({folder.string(), "has no set \"" + std::string(set) + "\"", "name one like forget10"});
  for (const char* ending : {".json", ".jsonl"})
    if (const fs::path file = folder / (std::string(set) + ending); fs::exists(file)) return file;
  const std::string present = sets_in(folder);
  throw MissingInput({(folder / (std::string(set) + ".json")).string(), "does not exist",
                      present.empty() ? "check the folder: it holds no .json file" : "this folder holds " + present});
}

}  // namespace

Dataset<QuestionAnswer> read_tofu(const fs::path& folder, std::string_view set, size_t limit) {
  auto dataset = describe<QuestionAnswer>(file_of(folder, set));
  read_records(dataset.file, [&](const Record& record) {
    QuestionAnswer item{record.text("question"), record.text("answer")};
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(item));
  });
  return dataset;
}

Dataset<PerturbedItem> read_tofu_perturbed(const fs::path& folder, std::string_view set, size_t limit) {
  auto dataset = describe<PerturbedItem>(file_of(folder, set));
  size_t wrong_answers = 0;
  read_records(dataset.file, [&](const Record& record) {
    PerturbedItem item{record.text("question"), record.text("answer"), {}, record.texts("perturbed_answer")};
    item.paraphrased_answer = record.text_or("paraphrased_answer", item.answer);
    item.paraphrased_question = record.text_or("paraphrased_question", "");
    if (wrong_answers == 0) wrong_answers = item.perturbed_answers.size();
    if (item.perturbed_answers.size() != wrong_answers)
      record.refuse("perturbed_answer",
                    "has " + std::to_string(item.perturbed_answers.size()) + " entries, the first item has " +
                        std::to_string(wrong_answers),
                    "the truth ratio compares items with equally many wrong answers: fetch the file again");
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(item));
  });
  return dataset;
}

Dataset<PerturbedItem> read_tofu_any(const fs::path& folder, std::string_view set) {
  if (set.ends_with("_perturbed")) return read_tofu_perturbed(folder, set);
  auto plain = read_tofu(folder, set);
  Dataset<PerturbedItem> dataset{plain.name, plain.file, plain.content_hash, {}};
  for (auto& item : plain.items) dataset.items.push_back({std::move(item.question), item.answer, item.answer, {}});
  return dataset;
}

std::string retain_set_of(std::string_view forget_set) {
  for (const auto& [forget, retain] :
       {std::pair{"forget01", "retain99"}, {"forget05", "retain95"}, {"forget10", "retain90"}})
    if (forget_set == forget) return retain;
  throw BadData({std::string(forget_set), "is no forget set of TOFU", "use forget01, forget05 or forget10"});
}

size_t retain_partner(uint64_t seed, uint64_t epoch, size_t index, size_t retain_count) {
  expect(retain_count > 0, "retain_partner needs a retained example");
  Random random(seed_of({"retain_partner", std::to_string(seed), std::to_string(epoch), std::to_string(index)}));
  return (index + random.below(retain_count)) % retain_count;
}

void expect_disjoint(const Dataset<QuestionAnswer>& forget, const Dataset<QuestionAnswer>& retain) {
  std::unordered_set<std::string_view> retained;
  for (const auto& item : retain.items) retained.insert(item.question);
  for (const auto& item : forget.items)
    if (retained.contains(item.question))
      throw BadData({retain.file.string(), "holds a question that " + forget.name + " shall forget: " + item.question,
                     "retain the counterpart, e.g. retain90 for forget10"});
}

}  // namespace cmc::data
