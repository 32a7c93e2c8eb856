#include "stages/experiment/experiment.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "stages/experiment/schema.hpp"

namespace cmc::stages {
namespace {

const char* const minimal =
    "[experiment]\ntitle = T\n[models]\ntemplate = a\ntargets = a, b\n[model.a]\npath = /a\n[model.b]\npath = "
    "${CMC_TEST_B}\n";

class ExperimentFile : public testing::Test {
 protected:
  void SetUp() override { setenv("CMC_TEST_B", "/there", 1); }
  std::filesystem::path write(const std::string& text) {
    const auto file =
        std::filesystem::path(testing::TempDir()) / ("cmc_experiment_" + std::to_string(::getpid()) + ".ini");
    publish_file(file, text);
    return file;
  }
  // The message of the BadExperiment that reading `text` gives.
  std::string error(const std::string& text, const std::vector<Experiment::Override>& overrides = {}) {
    return error_of(write(text), overrides);
  }
  static std::string error_of(const std::filesystem::path& file, const std::vector<Experiment::Override>& overrides) {
    try {
      Experiment::read(file, overrides);
    } catch (const BadExperiment& e) {
      return e.what();
    }
    return "no error";
  }
};

TEST_F(ExperimentFile, FillsDefaultsAndTheEnvironment) {
  const auto e = Experiment::read(write(minimal), {});
  EXPECT_EQ(e.model.at("b").path, "/there");
  EXPECT_EQ(e.train_unlearn.epochs, 20) << "the protocol's default";
  EXPECT_EQ(e.model.at("b").other_prompt.style, "plain");
  EXPECT_EQ(e.models.targets, (std::vector<std::string>{"a", "b"}));
}

TEST_F(ExperimentFile, OverridesWin) {
  const auto e = Experiment::read(write(minimal), {{"instruct.strengths", "0.5, 2"}});
  EXPECT_EQ(e.instruct.strengths, (std::vector<double>{0.5, 2}));
}

TEST_F(ExperimentFile, ResolvedFileGivesTheSameExperiment) {
  const auto first = Experiment::read(write(minimal), {{"unlearn.items", "7"}});
  const auto again = Experiment::read(write(first.resolved()), {});
  EXPECT_EQ(first.resolved(), again.resolved());
  EXPECT_EQ(again.unlearn.items, 7);
  const auto unset = Experiment::read(write(minimal), {{"experiment.seed", ""}});
  EXPECT_EQ(unset.seed(), 1);
  EXPECT_NE(unset.resolved().find("seed = 1\n"), std::string::npos) << "it says what was meant";
}

TEST_F(ExperimentFile, PromptsAreGivenAsText) {
  const std::string given = std::string(minimal) + "prompt_before = \\u0023 {q}\\n\\s\nprompt_after = \\\\n\\t[/]\\n\n";
  const auto e = Experiment::read(
      write(given),
      {{"judge.prompt_after", "\\u0024x"}, {"unlearn.prompt_before", "Q:\\s"}, {"unlearn.before_answer", "\\s"}});
  const auto& b = e.model.at("b");
  EXPECT_EQ(b.prompt.style, "text");
  EXPECT_EQ(b.prompt.before.text, "# {q}\n ");
  EXPECT_EQ(b.prompt.after.text, "\\n\t[/]\n");
  EXPECT_EQ(b.other_prompt.style, "plain");
  EXPECT_EQ(e.judge.prompt.style, "text");
  EXPECT_EQ(e.judge.prompt.after.text, "$x");
  EXPECT_EQ(e.unlearn.before_answer.text, " ");
  const auto again = Experiment::read(write(e.resolved()), {});
  EXPECT_EQ(again.resolved(), e.resolved());
  EXPECT_EQ(again.model.at("b").prompt.before.text, b.prompt.before.text);
  EXPECT_EQ(again.judge.prompt.style, "text");
}

TEST_F(ExperimentFile, EscapedTextsAreWrittenAsTheyAreRead) {
  for (const std::string text : {"", " a ", "\n\t\r\\", "# ${x} \xc3\xa9", "\\n"}) {
    EscapedText value;
    EXPECT_TRUE(parse(text_of(EscapedText{text}), value));
    EXPECT_EQ(value.text, text);
    EXPECT_EQ(text_of(EscapedText{text}).find_first_of("\n\t\r"), std::string::npos);
  }
  for (const std::string wrong : {"\\", "\\q", "\\u12", "\\uD800", "\\u0000", "\\u00g0", "\xff"}) {
    EscapedText value;
    EXPECT_FALSE(parse(wrong, value)) << wrong;
  }
}

TEST_F(ExperimentFile, AStyleAndATextDoNotGoTogether) {
  for (const std::string key : {"model.b.prompt", "model.b.other_prompt", "judge.prompt", "unlearn.prompt"}) {
    EXPECT_NE(error(minimal, {{key, "inst"}, {key + "_before", "x"}}).find(key), std::string::npos);
    EXPECT_NE(error(minimal, {{key, "text"}}).find(key + "_before"), std::string::npos);
    EXPECT_EQ(error(minimal, {{key, "text"}, {key + "_after", "x"}}), "no error");
    EXPECT_NE(error(minimal, {{key + "_after", "\\q"}}).find(key + "_after"), std::string::npos);
  }
  EXPECT_NE(error(minimal, {{"unlearn.before_answer", "x"}}).find("unlearn.before_answer"), std::string::npos);
}

TEST_F(ExperimentFile, TheDateIsADay) {
  EXPECT_EQ(Experiment::read(write(minimal), {}).about.date, "2024-07-26");
  EXPECT_EQ(Experiment::read(write(minimal), {{"experiment.date", "2025-01-31"}}).about.date, "2025-01-31");
  for (const char* wrong : {"today", "2025-02-29", "25-01-01"})
    EXPECT_NE(error(minimal, {{"experiment.date", wrong}}).find("experiment.date"), std::string::npos);
}

TEST_F(ExperimentFile, UnknownKeyNamesTheNearest) {
  EXPECT_NE(error(std::string(minimal) + "[unlearn]\nstrenghts = 1\n").find("unlearn.strengths"), std::string::npos);
  EXPECT_NE(error(std::string(minimal) + "[model.b2]\npth = 1\n").find("model.b2.path"), std::string::npos);
}

TEST_F(ExperimentFile, EveryFaultIsNamed) {
  const std::string text = minimal;
  EXPECT_NE(error("[experiment]\ntitle = T\n").find("models.template"), std::string::npos);
  EXPECT_NE(error(text, {{"compute.batch", "many"}}).find("compute.batch"), std::string::npos);
  EXPECT_NE(error(text, {{"compute.dtype", "int4"}}).find("bfloat16"), std::string::npos) << "choices are listed";
  EXPECT_NE(error(text, {{"train_instruct.learning_rate", "nan"}}).find("not a number"), std::string::npos);
  EXPECT_NE(error(text, {{"instruct.strengths", "0.5, inf"}}).find("instruct.strengths"), std::string::npos);
  EXPECT_NE(error(text, {{"experiment.seed", " , "}}).find("a list of nothing"), std::string::npos);
  EXPECT_NE(error(text, {{"models.targets", "a, c"}}).find("[model.c]"), std::string::npos);
  EXPECT_NE(error(text, {{"deltas.unlearn", "d"}}).find("[delta.d]"), std::string::npos);
  EXPECT_NE(error(text, {{"similarity.pairs", "a"}}).find("reference:other"), std::string::npos);
  EXPECT_NE(error(text, {{"similarity.pairs", "a:c"}}).find("[model.c]"), std::string::npos);
  EXPECT_NE(error(text, {{"models.targets", "a, b, a"}}).find("twice"), std::string::npos);
  EXPECT_NE(error(text, {{"data.tofu", "${world}/tofu"}}).find("data.tofu"), std::string::npos);
  EXPECT_NE(error(text, {{"experiment.title", "a\nb"}}).find("experiment.title"), std::string::npos);
  EXPECT_NE(error(text, {{"model.a.path", "${CMC_NO_SUCH_VARIABLE}"}}).find("CMC_NO_SUCH_VARIABLE"), std::string::npos);
  EXPECT_NE(error("title = x\nnonsense\n").find(".ini"), std::string::npos);
}

TEST_F(ExperimentFile, CommentsBeginAfterABlank) {
  const auto e = Experiment::read(write("; a comment\n  # another\n[experiment] # here\ntitle = run#4;b # note\n"
                                        "[models]\ntemplate = a ; note\ntargets = a\n[model.a]\npath = /a\n"
                                        "[data]\nalpaca_eval = \"/d #1/\"\"e\"\".json\" ; note\ntofu = /t#\n"),
                                  {});
  EXPECT_EQ(e.about.title, "run#4;b");
  EXPECT_EQ(e.models.template_model, "a");
  EXPECT_EQ(e.data.alpaca_eval, "/d #1/\"e\".json");
  EXPECT_EQ(e.data.tofu, "/t#");
}

TEST_F(ExperimentFile, MarksAndLineEndsOfOtherEditorsAreRead) {
  std::string text = "\xEF\xBB\xBF";
  for (const char letter : std::string(minimal)) (text += letter == '\n' ? "\r" : "") += letter;
  const auto e = Experiment::read(write(text), {});
  EXPECT_EQ(e.about.title, "T");
  EXPECT_EQ(e.model.at("b").path, "/there");
  EXPECT_EQ(e.resolved(), Experiment::read(write(minimal), {}).resolved());
  EXPECT_NE(error("\xFF\xFE[\0e\0").find("line 1: is not text in UTF-8"), std::string::npos);
}

// Every title that can be given is in the file a run writes, as it was.
TEST_F(ExperimentFile, WhatARunWritesBackReadsTheSame) {
  for (const std::string title : {"run #4", "da#ta", "#", "; x", "a;b", "\"quoted\"", "say \"x\" # y", "\"", "\"\"",
                                  "$${world}", "$$${x}", "a = b", "[x]", "\xc3\xa9 \\n \\", "$ {x} $"}) {
    const auto first = Experiment::read(write(minimal), {{"experiment.title", title}});
    const auto again = Experiment::read(write(first.resolved()), {});
    EXPECT_EQ(again.about.title, first.about.title) << title;
    EXPECT_EQ(again.resolved(), first.resolved()) << title;
    const bool is_literal = title.find("${") == std::string::npos;
    EXPECT_TRUE(!is_literal || first.about.title == title) << title;
  }
}

TEST_F(ExperimentFile, AVariableStandsForItsTextOnce) {
  setenv("CMC_TEST_LOOP", "${CMC_TEST_LOOP}/${world} $${x} #1", 1);
  const auto e = Experiment::read(write(minimal), {{"experiment.title", "${CMC_TEST_LOOP}|$${CMC_TEST_B}"}});
  EXPECT_EQ(e.about.title, "${CMC_TEST_LOOP}/${world} $${x} #1|${CMC_TEST_B}");
  const auto again = Experiment::read(write(e.resolved()), {});
  EXPECT_EQ(again.about.title, e.about.title);
  EXPECT_EQ(again.resolved(), e.resolved());
  const auto made =
      Experiment::read(write(minimal), {{"world.documents", "9"}, {"data.tofu", "${world}/t/${CMC_TEST_B}"}});
  EXPECT_EQ(made.for_seed(1, "/o/${world}").data.tofu, "/o/${world}/t//there");
  EXPECT_NE(error(minimal, {{"experiment.title", "${CMC_TEST_B"}}).find("${ without }"), std::string::npos);
}

TEST_F(ExperimentFile, WhatIsNoSettingIsNamedByItsLine) {
  const auto after = [&](const std::string& lines) { return error(minimal + lines); };
  EXPECT_NE(after("path = /c\n").find("model.b.path: is given twice, in lines 9 and 10"), std::string::npos);
  EXPECT_NE(after("[model.a]\npath = /c\n").find("model.a.path: is given twice, in lines 7 and 11"), std::string::npos);
  EXPECT_NE(after("[unlearn\n").find("line 10: has [ without ]"), std::string::npos);
  EXPECT_NE(after("[]\n").find("line 10"), std::string::npos);
  EXPECT_NE(after("= 3\n").find("line 10"), std::string::npos);
  EXPECT_NE(after("tokenizer\n").find("line 10"), std::string::npos);
  EXPECT_NE(after("tokenizer = \"a\n").find("line 10"), std::string::npos);
  EXPECT_NE(after("tokenizer = \"a\" b\n").find("line 10"), std::string::npos);
}

// What a number is held against stands beside it in the schema; each end is tried from both sides.
TEST_F(ExperimentFile, NumbersOutsideTheirRangeAreRefusedByKey) {
  int tried = 0;
  const auto file = write(minimal);
  for (const auto& spec : schema()) {
    const bool whole = spec.kind.starts_with("whole"), number = spec.kind.starts_with("number");
    if ((!whole && !number) || spec.key.find('*') != std::string::npos) continue;
    std::vector<std::string> wrong = {"nan", "inf", "-inf", "1e999", "0x10", "1;2", "99999999999999999999", "-1000000"};
    if (whole) wrong.insert(wrong.end(), {"1.5", "-1", "1e3"});
    if (spec.range.above_least) wrong.push_back(text_of(spec.range.least));
    if (spec.range.below_most) wrong.push_back(text_of(spec.range.most));
    if (whole && spec.range.least == 1) wrong.push_back("0");
    for (const auto& value : wrong) {
      const std::string message = error_of(file, {{spec.key, value}});
      EXPECT_NE(message.find(spec.key + ": is " + value), std::string::npos)
          << spec.key << " = " << value << ": " << message;
      ++tried;
    }
  }
  EXPECT_GT(tried, 500);
  EXPECT_NE(error(minimal, {{"compute.batch", "0"}}).find("give a whole number from 1 to 65536"), std::string::npos);
  EXPECT_EQ(error(minimal, {{"compute.batch", "1"}, {"pretrain.warmup", "1"}, {"instruct.strengths", "-2, 0"}}),
            "no error");
}

TEST_F(ExperimentFile, AModelThatIsMadeHasItsSizes) {
  const auto with = [&](const std::string& sizes) { return error(minimal + ("[model.c]\n" + sizes)); };
  EXPECT_NE(with("hidden = 8\n").find("model.c.layers"), std::string::npos);
  EXPECT_NE(with("hidden = 9\nlayers = 1\nheads = 3\nintermediate = 4\n").find("model.c.hidden"), std::string::npos);
  EXPECT_EQ(with("hidden = 12\nlayers = 1\nheads = 3\nintermediate = 4\n"), "no error");
  EXPECT_NE(error(minimal + std::string("[delta.d]\nheads = 5\n")).find("delta.d.hidden"), std::string::npos);
}

TEST(Schema, EveryKeyFindsItself) {
  for (const auto& spec : schema()) {
    std::string key(spec.key);
    if (const auto star = key.find('*'); star != std::string::npos) key.replace(star, 1, "name");
    EXPECT_EQ(find_spec(key), &spec) << key;
  }
}

}  // namespace
}  // namespace cmc::stages
