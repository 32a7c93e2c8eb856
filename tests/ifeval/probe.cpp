// Answers one JSON request a line with one JSON line, for the python tests of this folder; bad input as {"error"}.
//   {"op": "verdicts", "item": {a line of input_data.jsonl}, "responses": […]}  -> [[[strict, loose] of each
//   instruction]…]
//   {"op": "sentences" | "words" | "language", "text"}                           -> the texts, the language
//   {"op": "ids"}                                                                -> [id…]
#include <fstream>
#include <iostream>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/data/ifeval.hpp"
#include "pipeline/ifeval/instruction.hpp"
#include "pipeline/ifeval/language.hpp"
#include "pipeline/ifeval/sentences.hpp"

namespace cmc::ifeval {
namespace {

Json verdicts(const std::filesystem::path& file, const Json& request) {
  std::ofstream(file) << request.at("item").dump() << "\n";
  const auto instructions = instructions_of(data::read_ifeval(file).items.front());
  Json all = Json::array();
  for (const auto& response : request.at("responses")) {
    Json& of_response = all.emplace_back(Json::array());
    for (const auto& instruction : instructions) {
      const auto verdict = instruction.verdict(response.get<std::string>());
      of_response.push_back({verdict.strict, verdict.loose});
    }
  }
  return all;
}

Json answer(const std::filesystem::path& file, const Json& request) {
  const auto op = request.at("op").get<std::string>();
  if (op == "verdicts") return verdicts(file, request);
  if (op == "ids") return known_ids();
  const auto text = request.at("text").get<std::string>();
  if (op == "sentences") return sentences_of(text);
  if (op == "words") return words_of(text);
  if (op == "language") return language_of(text);
  throw Usage({op, "is not known", "see the head of this file"});
}

}  // namespace
}  // namespace cmc::ifeval

int main(int argc, char** argv) {
  if (argc != 2) return 2;  // FILE: where items are written for the reader
  for (std::string line; std::getline(std::cin, line);) {
    cmc::Json reply;
    try {
      reply = cmc::ifeval::answer(argv[1], cmc::Json::parse(line));
    } catch (const cmc::Error& error) {
      reply = {{"error", error.what()}, {"code", static_cast<int>(error.code())}};
    }
    std::cout << reply.dump() << std::endl;
  }
}
