// Reads a data file and prints what the reader gives, for test_data.py.
//   probe_data tofu|tofu_perturbed FOLDER SET [LIMIT] | alpaca|alpaca_eval|gsm8k|ifeval FILE [LIMIT] | partners SEED
//   EPOCH COUNT RETAINED | texts FILE
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/data/alpaca.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/gsm8k.hpp"
#include "pipeline/data/ifeval.hpp"
#include "pipeline/data/plain_text.hpp"
#include "pipeline/data/tofu.hpp"

namespace cmc::data {
namespace {

Json to_json(const QuestionAnswer& item) {
  return {{"question", item.question}, {"answer", item.answer}};
}
Json to_json(const PerturbedItem& item) {
  return {{"question", item.question},
          {"answer", item.answer},
          {"paraphrased_answer", item.paraphrased_answer},
          {"paraphrased_question", item.paraphrased_question},
          {"perturbed_answer", item.perturbed_answers}};
}
Json to_json(const ResponseCheck& check) {
  return {{"rule", check.rule}, {"words", check.words}, {"of", check.of}, {"least", check.least}, {"most", check.most}};
}
Json to_json(const AlpacaEvalItem& item) {
  Json json = {{"instruction", item.instruction},
               {"output", item.output},
               {"generator", item.generator},
               {"dataset", item.dataset}};
  for (const auto& check : item.checks) json["checks"].push_back(to_json(check));
  return json;
}
Json to_json(const IfevalItem& item) {
  Json json = {{"key", item.key}, {"prompt", item.prompt}, {"instruction_id_list", Json::array()}, {"kwargs", {}}};
  for (const auto& instruction : item.instructions) {
    json["instruction_id_list"].push_back(instruction.id);
    Json& kwargs = json["kwargs"].emplace_back(Json::object());
    for (const auto& [name, value] : instruction.kwargs) std::visit([&](const auto& v) { kwargs[name] = v; }, value);
  }
  return json;
}
Json to_json(const std::string& text) {
  return text;
}

template <class Item>
Json to_json(const Dataset<Item>& dataset) {
  Json items = Json::array();
  for (const auto& item : dataset.items) items.push_back(to_json(item));
  return {{"name", dataset.name}, {"hash", dataset.content_hash}, {"items", items}};
}

Json answer(const std::vector<std::string>& words) {
  const std::string& what = words.at(0);
  const size_t named = what.starts_with("tofu") ? 3 : 2;
  const size_t limit = words.size() > named ? std::stoul(words[named]) : all_items;
  if (what == "tofu") return to_json(read_tofu(words.at(1), words.at(2), limit));
  if (what == "tofu_perturbed") return to_json(read_tofu_perturbed(words.at(1), words.at(2), limit));
  if (what == "alpaca") return to_json(read_alpaca(words.at(1), limit));
  if (what == "alpaca_eval") return to_json(read_alpaca_eval(words.at(1), limit));
  if (what == "texts") return to_json(read_texts(words.at(1), limit));
  if (what == "ifeval") return to_json(read_ifeval(words.at(1), limit));
  if (what == "gsm8k") return to_json(read_gsm8k(words.at(1), limit));
  if (what != "partners") throw Usage({what, "is not known", "see the head of this file"});
  Json partners = Json::array();
  for (size_t i = 0; i < std::stoul(words.at(3)); ++i)
    partners.push_back(retain_partner(std::stoull(words.at(1)), std::stoull(words.at(2)), i, std::stoul(words.at(4))));
  return partners;
}

}  // namespace
}  // namespace cmc::data

int main(int argc, char** argv) try {
  std::cout << cmc::data::answer({argv + 1, argv + argc}).dump() << "\n";
  return 0;
} catch (const cmc::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(cmc::ExitCode::internal);
}
