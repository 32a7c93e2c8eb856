#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/data/alpaca.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/gsm8k.hpp"
#include "pipeline/data/ifeval.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/data/tofu_log.hpp"

namespace cmc::data {
namespace {

using testing::HasSubstr;

// One file that must be refused, and what the message must name.
struct Malformed {
  std::string title;
  std::string reader;  // tofu, perturbed, alpaca, alpaca_eval, preferences, gsm8k, log, ifeval
  std::string bytes;
  std::vector<std::string> named;
};

class MalformedData : public testing::TestWithParam<Malformed> {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder = testing::TempDir() + "/cmc_malformed_" + std::to_string(::getpid());
};

void read(const std::string& reader, const std::filesystem::path& folder) {
  if (reader == "tofu") read_tofu(folder, "data");
  if (reader == "perturbed") read_tofu_perturbed(folder, "data");
  if (reader == "alpaca") read_alpaca(folder / "data.json");
  if (reader == "alpaca_eval") read_alpaca_eval(folder / "data.json");
  if (reader == "preferences") read_alpaca_eval_verdicts(folder / "data.json");
  if (reader == "log") read_tofu_log(folder / "data.json", TofuLogPart::forget_truth_ratios);
  if (reader == "gsm8k") read_gsm8k(folder / "data.json");
  if (reader == "ifeval") read_ifeval(folder / "data.json");
}

TEST_P(MalformedData, IsRefusedWithPlaceAndRemedy) {
  publish_file(folder / "data.json", GetParam().bytes);
  try {
    read(GetParam().reader, folder);
    FAIL() << "was accepted";
  } catch (const BadData& error) {
    EXPECT_THAT(error.what(), HasSubstr("data.json"));
    EXPECT_FALSE(error.problem().remedy.empty());
    for (const auto& name : GetParam().named) EXPECT_THAT(error.what(), HasSubstr(name));
  }
}

std::string forget_log(const std::string& paraphrased, const std::string& wrong) {
  return R"({"eval_log_forget.json": {"avg_paraphrased_loss": )" + paraphrased + R"(, "average_perturb_loss": )" +
         wrong + "}}";
}

std::string ifeval_line(const std::string& ids, const std::string& kwargs, const std::string& key = "1") {
  return R"({"key": )" + key + R"(, "prompt": "p", "instruction_id_list": )" + ids + R"(, "kwargs": )" + kwargs + "}\n";
}

const std::string good = R"({"question": "q", "answer": "a", "perturbed_answer": ["x", "y"]})"
                         "\n";

INSTANTIATE_TEST_SUITE_P(
    Files, MalformedData,
    testing::Values(
        Malformed{"Empty", "tofu", "", {"is empty"}}, Malformed{"BlankLines", "tofu", "\n \n", {"no item"}},
        Malformed{"NoJson", "tofu", good + "question: q\n", {"data.json:2", "JSON"}},
        Malformed{"Truncated", "tofu", good + R"({"question": "q", "answ)", {"data.json:2"}},
        Malformed{
            "TwoObjectsInALine", "tofu", R"({"question": "q", "answer": "a"} {"question": "q"})", {"data.json:1"}},
        Malformed{"NoObject", "tofu", "[1]\n", {"data.json[0]", "number"}},
        Malformed{
            "PieceOfAnArray", "tofu", "[\n{\"question\": \"q\", \"answer\": \"a\"}\n", {"data.json", "truncated"}},
        Malformed{"Pointer", "tofu", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", {"Git LFS"}},
        Malformed{"Gzip", "tofu", std::string("\x1f\x8b\x08\0", 4), {"gzip"}},
        Malformed{"WebPage", "alpaca", "<!doctype html><html></html>", {"web page"}},
        Malformed{"MissingField", "tofu", good + good + R"({"question": "q"})", {"data.json:3", "answer", "missing"}},
        Malformed{"WrongType", "tofu", R"({"question": "q", "answer": 3})", {"data.json:1", "answer", "number"}},
        Malformed{"Null", "tofu", R"({"question": null, "answer": "a"})", {"question", "null"}},
        Malformed{"EmptyQuestion", "tofu", R"({"question": " ", "answer": "a"})", {"question", "empty"}},
        Malformed{"Latin1", "tofu", good + "{\"question\": \"caf\xe9\", \"answer\": \"a\"}", {"data.json:2", "UTF-8"}},
        Malformed{"LoneSurrogate", "tofu", R"({"question": "\ud800", "answer": "a"})", {"data.json:1"}},
        Malformed{"NulHidesTheRest",
                  "tofu",
                  good + R"({"question": "q", "answer": "a"})" + std::string("\0 hidden", 8),
                  {"data.json:2", "NUL"}},
        Malformed{"NulInAnArray", "alpaca", R"([{"instruction": "i", "output": "o"}])" + std::string("\0", 1), {"NUL"}},
        Malformed{"EndlesslyNested", "alpaca", std::string(100'000, '['), {"deeply"}},
        Malformed{"LineNestedEndlessly",
                  "tofu",
                  R"({"question": "q", "answer": "a", "more": )" + std::string(100'000, '['),
                  {"data.json:1", "deeply"}},
        Malformed{"Utf16", "tofu", std::string("\xff\xfe{\0\"\0", 6), {"data.json:1", "UTF-8"}},
        Malformed{
            "NoWrongAnswers", "perturbed", R"({"question": "q", "answer": "a"})", {"perturbed_answer", "missing"}},
        Malformed{"WrongAnswersNoList",
                  "perturbed",
                  R"({"question": "q", "answer": "a", "perturbed_answer": "x"})",
                  {"perturbed_answer", "string"}},
        Malformed{"WrongAnswersEmpty",
                  "perturbed",
                  R"({"question": "q", "answer": "a", "perturbed_answer": []})",
                  {"perturbed_answer", "empty"}},
        Malformed{"WrongAnswerOfOtherType",
                  "perturbed",
                  R"({"question": "q", "answer": "a", "perturbed_answer": ["x", null]})",
                  {"perturbed_answer[1]"}},
        Malformed{"UnequalWrongAnswers",
                  "perturbed",
                  good + R"({"question": "q", "answer": "a", "perturbed_answer": ["x"]})",
                  {"data.json:2", "perturbed_answer"}},
        Malformed{"ParaphraseOfOtherType",
                  "perturbed",
                  R"({"question": "q", "answer": "a", "paraphrased_answer": [], "perturbed_answer": ["x"]})",
                  {"paraphrased_answer", "array"}},
        Malformed{"AlpacaObject", "alpaca", R"({"data": [{"instruction": "i"}]})", {"data.json:1", "instruction"}},
        Malformed{"AlpacaLines",
                  "alpaca",
                  "{\"instruction\": \"i\", \"output\": \"o\"}\n{\"instruction\": \"i\"}",
                  {"data.json:2", "output"}},
        Malformed{"AlpacaNoItem", "alpaca", "[]", {"no item"}},
        Malformed{"AlpacaString", "alpaca", R"(["i"])", {"[0]", "string"}},
        Malformed{"AlpacaMissing",
                  "alpaca",
                  R"([{"instruction": "i", "output": "o"}, {"instruction": "i"}])",
                  {"[1]", "output"}},
        Malformed{"AlpacaInput", "alpaca", R"([{"instruction": "i", "input": 1, "output": "o"}])", {"[0]", "input"}},
        Malformed{"AlpacaCut", "alpaca", R"([{"instruction": "i", "output": "o"},)", {"JSON"}},
        Malformed{
            "EvalTwice",
            "alpaca_eval",
            R"([{"instruction": "i", "output": "o", "generator": "g"}, {"instruction": "i", "output": "p", "generator": "g"}])",
            {"[1]", "[0]", "instruction"}},
        Malformed{"EvalNoGenerator", "alpaca_eval", R"([{"instruction": "i", "output": "o"}])", {"[0]", "generator"}},
        Malformed{"EvalDataset",
                  "alpaca_eval",
                  R"([{"instruction": "i", "output": "o", "generator": "g", "dataset": 1}])",
                  {"dataset"}},
        Malformed{"PreferencesAllMissing", "preferences", R"([{"preference": NaN}, {}])", {"preference"}},
        Malformed{"PreferenceText", "preferences", R"([{"preference": 1}, {"preference": "2"}])", {"[1]", "string"}},
        Malformed{"PreferenceWord", "preferences", R"([{"preference": nan}])", {"JSON"}},
        Malformed{"LogWithoutTheSet", "log", R"({"eval_log.json": {}})", {"eval_log_forget.json"}},
        Malformed{"LogOfOneSet", "log", R"({"avg_paraphrased_loss": {"0": 1}})", {"eval_log_aggregated.json"}},
        Malformed{"LogWithoutFields",
                  "log",
                  R"({"eval_log_forget.json": {}})",
                  {"avg_paraphrased_loss, average_perturb_loss"}},
        Malformed{"LogItemMissing", "log", forget_log(R"({"0": 1, "1": 1})", R"({"0": [1]})"), {"no item 1"}},
        Malformed{"LogItemTooMany", "log", forget_log(R"({"0": 1})", R"({"0": [1], "1": [1]})"), {"no item 1"}},
        Malformed{"LogNaN", "log", forget_log(R"({"0": NaN})", R"({"0": [1]})"), {"avg_paraphrased_loss[0]", "NaN"}},
        Malformed{"LogNegative", "log", forget_log(R"({"0": 1})", R"({"0": [1, -2]})"), {"loss[0][1]", "-2"}},
        Malformed{"LogUnequal", "log", forget_log(R"({"0": 1, "1": 1})", R"({"0": [1], "1": [1, 2]})"), {"loss[1]"}},
        Malformed{"LogEmpty", "log", forget_log("{}", "{}"), {"no item"}},
        Malformed{
            "GsmNoNumber", "gsm8k", R"({"question": "q", "answer": "It is 3."})", {"data.json:1", "answer", "####"}},
        Malformed{"GsmEmptyNumber", "gsm8k", R"({"question": "q", "answer": "3\n#### "})", {"answer"}},
        Malformed{"IfevalNoKey", "ifeval", R"({"prompt": "p"})", {"data.json:1", "key", "missing"}},
        Malformed{"IfevalKeyText", "ifeval", ifeval_line(R"(["a"])", "[{}]", R"("1")"), {"key", "whole number"}},
        Malformed{"IfevalKeyTwice",
                  "ifeval",
                  ifeval_line(R"(["a"])", "[{}]") + ifeval_line(R"(["a"])", "[{}]"),
                  {"data.json:2", "key", "earlier"}},
        Malformed{"IfevalNoIds", "ifeval", R"({"key": 1, "prompt": "p", "kwargs": []})", {"instruction_id_list"}},
        Malformed{"IfevalNoInstruction", "ifeval", ifeval_line("[]", "[]"), {"instruction_id_list", "empty"}},
        Malformed{"IfevalTooFewKwargs", "ifeval", ifeval_line(R"(["a", "b"])", "[{}]"), {"kwargs", "1 entries for 2"}},
        Malformed{"IfevalKwargsNoObject", "ifeval", ifeval_line(R"(["a"])", "[3]"), {"kwargs[0]", "number"}},
        Malformed{"IfevalKwargsNoList", "ifeval", ifeval_line(R"(["a"])", "{}"), {"kwargs", "object"}},
        Malformed{"IfevalPartOfANumber", "ifeval", ifeval_line(R"(["a"])", R"([{"n": 2.5}])"), {"kwargs[0]: n", "2.5"}},
        Malformed{
            "IfevalHugeNumber", "ifeval", ifeval_line(R"(["a"])", R"([{"n": 1e300}])"), {"kwargs[0]: n", "whole"}},
        Malformed{"IfevalBoolean", "ifeval", ifeval_line(R"(["a"])", R"([{"n": true}])"), {"n", "boolean"}},
        Malformed{"IfevalListOfNumbers", "ifeval", ifeval_line(R"(["a"])", R"([{"n": [1]}])"), {"n[0]", "number"}},
        Malformed{"IfevalEmptyList", "ifeval", ifeval_line(R"(["a"])", R"([{"n": []}])"), {"kwargs[0]: n", "empty"}}),
    [](const auto& info) { return info.param.title; });

TEST_F(MalformedData, AbsentSetNamesThoseThatAreThere) {
  publish_file(folder / "forget10.json", good);
  try {
    read_tofu(folder, "forget11");
    FAIL();
  } catch (const MissingInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("forget10"));
  }
}

TEST_F(MalformedData, AbsentFilesAndFolders) {
  EXPECT_THROW(read_tofu(folder / "none", "forget10"), MissingInput);
  EXPECT_THROW(read_alpaca(folder / "none.json"), MissingInput);
  EXPECT_THROW(read_gsm8k(folder), BadData);
  EXPECT_THROW(read_alpaca_eval(folder), BadData);
  EXPECT_THROW(read_tofu(folder, "../data"), BadData);
}

TEST_F(MalformedData, WhatLiesBehindTheLimitIsCheckedToo) {
  publish_file(folder / "data.json", good + "broken\n");
  EXPECT_THROW(read_tofu(folder, "data", 1), BadData);
}

}  // namespace
}  // namespace cmc::data
