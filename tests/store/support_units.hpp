#pragma once
#include "pipeline/core/hash.hpp"
#include "pipeline/store/unit.hpp"

// A unit that has one of everything the store can hold.
namespace cmc::store::testing_units {

inline Unit everything(const std::string& name) {
  Unit unit;
  unit.key = sha256(name);
  unit.stage = "instruct";
  unit.task = {{"name", name},         {"stage", "instruct"}, {"target", "SmolLM2"}, {"method", "cmc"},
               {"delta", "delta-15m"}, {"alpha", 0.5},        {"strengths", {0.5}},  {"seed", 18446744073709551615ull}};
  unit.labels = {{"name", name}, {"target", "SmolLM2"}, {"method", "cmc"}, {"delta", "delta-15m"}, {"alpha", 0.5}};
  for (auto& label : unit.labels) label.long_name = label.name;
  unit.provenance = {{"software", "cmc"},
                     {"version", "0.1.0"},
                     {"host", "node1"},
                     {"date", "2026-01-31T12:00:00Z"},
                     {"hdf5", "1.10.8"}};
  unit.cost.wall_seconds = 1.25;
  unit.cost.tokens = 77;
  unit.datasets = {
      {"response",
       {"prompt"},
       {3},
       std::vector<std::string>{"", "naïve 中文 🙂\n\"quoted\"", std::string("a\0b\0", 4)},
       "1",
       "generated text",
       ""},
      {"reference_logprob",
       {"prompt"},
       {3},
       std::vector<double>{-1.5, 0.1 + 0.2, -3e-300},
       "nat",
       "log-probability of the reference",
       "sum over its tokens"},
      {"reference_tokens", {"prompt"}, {3}, std::vector<int64_t>{3, 5, 7}, "token", "tokens of the reference", ""},
      {"stopped", {"prompt"}, {3}, std::vector<int32_t>{1, 0, -2147483647 - 1}, "1", "ended by itself", ""},
      {"wrong", {"prompt", "choice"}, {3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6.5f}, "nat", "wrong answers", ""},
      {"step", {"step"}, {4}, std::vector<int64_t>{0, 10, 20, int64_t{1} << 60}, "1", "optimizer step", ""},
      {"loss", {"step"}, {4}, std::vector<float>{4, 3, 2, 1}, "nat", "training loss", "mean over response tokens"},
      {"exact", {"count"}, {1}, std::vector<int64_t>{24185}, "1", "exact matches", ""},
      {"scalar", {}, {}, std::vector<double>{2.5}, "1", "no axis", ""},
      {"nothing", {"none"}, {0}, std::vector<float>{}, "1", "no value", ""},
      {"no_text", {"none"}, {0}, std::vector<std::string>{}, "1", "no text", ""}};
  unit.ragged = {{"response_tokens", "prompt", std::vector<int32_t>{5, 6, 7, 8}, {0, 3, 3, 4}, "token", "new tokens"},
                 {"answer_token_logprob", "prompt", std::vector<float>{-1.5f, -0.25f}, {0, 1, 2, 2}, "nat", "each"}};
  return unit;
}

// Rows of one TOFU slice at two strengths, as the unlearn stage names them.
inline Unit unlearn(const std::string& name) {
  Unit unit;
  unit.key = sha256(name);
  unit.stage = "unlearn";
  unit.task = {{"name", name},    {"stage", "unlearn"}, {"target", "SmolLM2"},
               {"method", "cmc"}, {"delta", "tiny"},    {"set", "forget"}};
  unit.datasets = {
      {"alpha", {"row"}, {4}, std::vector<double>{0.5, 0.5, 1, 1}, "1", "strength of the delta", ""},
      {"item", {"row"}, {4}, std::vector<int64_t>{0, 1, 0, 1}, "1", "index in the data file", ""},
      {"rouge_l_recall", {"row"}, {4}, std::vector<double>{0.25, 0.75, 0, 0.5}, "1", "ROUGE-L recall", "rouge_score"}};
  return unit;
}

}  // namespace cmc::store::testing_units
