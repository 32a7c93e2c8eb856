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
    try {
      Experiment::read(write(text), overrides);
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
  EXPECT_EQ(e.model.at("b").other_prompt, "plain");
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
  EXPECT_NE(error(text, {{"model.a.path", "${CMC_NO_SUCH_VARIABLE}"}}).find("CMC_NO_SUCH_VARIABLE"), std::string::npos);
  EXPECT_NE(error("title = x\nnonsense\n").find(".ini"), std::string::npos);
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
