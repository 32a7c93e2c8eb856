#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/data/alpaca.hpp"
#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/data/gsm8k.hpp"
#include "pipeline/data/tofu.hpp"
#include "pipeline/data/tofu_log.hpp"

namespace cmc::data {
namespace {

class Readers : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder = testing::TempDir() + "/cmc_readers_" + std::to_string(::getpid());
};

TEST_F(Readers, ParaphraseFallsBackToTheAnswer) {
  publish_file(
      folder / "s.json",
      "{\"question\": \"q\", \"answer\": \"a\", \"perturbed_answer\": [\"x\"]}\n"
      "{\"question\": \"q\", \"answer\": \"a\", \"paraphrased_answer\": \"p\", \"perturbed_answer\": [\"x\"]}");
  const auto items = read_tofu_perturbed(folder, "s").items;
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].paraphrased_answer, "a");
  EXPECT_EQ(items[1].paraphrased_answer, "p");
}

TEST_F(Readers, LimitKeepsTheFirstAndHashesTheWholeFile) {
  const std::string bytes = "{\"question\": \"1\", \"answer\": \"a\"}\n{\"question\": \"2\", \"answer\": \"a\"}\n";
  publish_file(folder / "s.jsonl", bytes);
  const auto dataset = read_tofu(folder, "s", 1);
  ASSERT_EQ(dataset.items.size(), 1u);
  EXPECT_EQ(dataset.items[0].question, "1");
  EXPECT_EQ(dataset.name, "s");
  EXPECT_EQ(dataset.content_hash, sha256(bytes));
}

TEST(Alpaca, JoinsInstructionAndInput) {
  EXPECT_EQ(join_instruction(" Sum up.\n", " text \n"), "Sum up.\n\ntext");
  EXPECT_EQ(join_instruction("Sum up.", ""), "Sum up.");
  EXPECT_EQ(join_instruction("Sum up.", " \n"), "Sum up.");
}

TEST_F(Readers, AlpacaKeepsAnEmptyOutput) {
  publish_file(folder / "a.json", R"([{"instruction": "Say nothing.", "output": ""}])");
  EXPECT_EQ(read_alpaca(folder / "a.json").items.at(0).answer, "");
}

TEST(Gsm8k, FinalNumber) {
  EXPECT_EQ(final_number("2+2=4\n#### 4"), "4");
  EXPECT_EQ(final_number("#### 1,234 "), "1234");
  EXPECT_EQ(final_number("#### 1\n#### -2"), "-2");
  EXPECT_EQ(final_number("four"), "");
}

TEST(Tofu, RetainSets) {
  EXPECT_EQ(retain_set_of("forget01"), "retain99");
  EXPECT_EQ(retain_set_of("forget05"), "retain95");
  EXPECT_EQ(retain_set_of("forget10"), "retain90");
  EXPECT_THROW(retain_set_of("forget20"), BadData);
  EXPECT_THROW(retain_set_of("retain90"), BadData);
}

TEST(Tofu, PartnersDependOnSeedEpochAndIndexAlone) {
  EXPECT_EQ(retain_partner(1, 2, 3, 100), retain_partner(1, 2, 3, 100));
  std::set<std::vector<size_t>> epochs;
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    std::vector<size_t> partners;
    for (size_t i = 0; i < 40; ++i) partners.push_back(retain_partner(7, epoch, i, 100));
    for (const size_t partner : partners) EXPECT_LT(partner, 100u);
    epochs.insert(partners);
  }
  EXPECT_EQ(epochs.size(), 20u) << "each epoch must draw anew";
  EXPECT_EQ(retain_partner(7, 0, 5, 1), 0u);
  EXPECT_THROW(retain_partner(7, 0, 5, 0), Internal);
}

TEST(Tofu, PartnersAreUniform) {
  // 20,000 draws over 10 places: each 2,000 +- 5 deviations of 42.4.
  std::vector<int> counts(10, 0);
  for (size_t i = 0; i < 20000; ++i) ++counts[retain_partner(0, 0, i, 10)];
  for (const int count : counts) EXPECT_NEAR(count, 2000, 5 * 42.4);
}

TEST(Tofu, OverlapIsRefused) {
  const Dataset<QuestionAnswer> forget{"forget01", "f.json", "", {{"q1", "a"}, {"q2", "a"}}};
  const Dataset<QuestionAnswer> retain{"retain99", "r.json", "", {{"q3", "a"}}};
  const Dataset<QuestionAnswer> wrong{"full", "full.json", "", {{"q3", "a"}, {"q2", "a"}}};
  EXPECT_NO_THROW(expect_disjoint(forget, retain));
  EXPECT_THROW(expect_disjoint(forget, wrong), BadData);
}

// A log whose four sets are `set`.
std::string log_of(const std::string& set) {
  return R"({"eval_log.json": )" + set + R"(, "eval_real_author_wo_options.json": )" + set +
         R"(, "eval_real_world_wo_options.json": )" + set + R"(, "eval_log_forget.json": )" + set + "}";
}

TEST_F(Readers, TofuLogPairsFieldsByItem) {
  publish_file(folder / "log.json", log_of(R"({"avg_gt_loss": {"0": 1.5, "1": 2}, "rougeL_recall": {"1": 0.25, "0": 1},
      "average_perturb_loss": {"1": [3, 4], "0": [5, 6.5]}, "avg_paraphrased_loss": {"0": -1e-9, "1": 7},
      "truth_ratio": {"0": NaN, "1": -Infinity},
      "generated_text": {"0": ["NaN", "\"Infinity\\", "-Infinity"], "1": ["", "", ""]}})"));
  const auto log = read_tofu_log(folder / "log.json");
  ASSERT_EQ(log.forget.items.size(), 2u);
  EXPECT_EQ(log.world_facts.items.size(), 2u);
  const auto& first = log.forget.items[0];
  EXPECT_EQ(first.key, "0");
  EXPECT_EQ(first.answer_loss, 1.5);
  EXPECT_EQ(first.paraphrased_loss, 0);
  EXPECT_EQ(first.wrong_losses, (std::vector<double>{5, 6.5}));
  EXPECT_EQ(first.rouge_l_recall, 1);
  ASSERT_TRUE(first.texts.has_value());
  EXPECT_EQ(first.texts->generated, "\"Infinity\\");
  EXPECT_EQ(first.texts->reference, "-Infinity");
  EXPECT_EQ(log.retain.items[1].wrong_losses, (std::vector<double>{3, 4}));
  EXPECT_EQ(log.content_hash, sha256_file(folder / "log.json"));
}

TEST_F(Readers, TofuLogOfARetainOnlyModel) {
  const std::string ratios = R"({"average_perturb_loss": {"3": [1]}, "avg_paraphrased_loss": {"3": 2}})";
  publish_file(folder / "log.json", R"({"eval_log_forget.json": )" + ratios + "}");
  const auto log = read_tofu_log(folder / "log.json", TofuLogPart::forget_truth_ratios);
  ASSERT_EQ(log.forget.items.size(), 1u);
  EXPECT_EQ(log.forget.items[0].paraphrased_loss, 2);
  EXPECT_TRUE(log.retain.items.empty());
  EXPECT_THROW(read_tofu_log(folder / "log.json"), BadData);
}

TEST_F(Readers, ListsAndLinesAreReadAlike) {
  const std::string first = R"({"instruction": "i", "output": "o"})", second = R"({"instruction": "j", "output": "p"})";
  for (const std::string& form :
       {"[" + first + ",\n" + second + "]", first + "\n\n" + second + "\n", "\xEF\xBB\xBF" + first + "\r\n" + second}) {
    publish_file(folder / "a.json", form);
    const auto items = read_alpaca(folder / "a.json").items;
    ASSERT_EQ(items.size(), 2u) << form;
    EXPECT_EQ(items[1].answer, "p");
  }
}

TEST_F(Readers, PreferencesKeepWhatIsMissing) {
  publish_file(
      folder / "a.json",
      R"([{"preference": 1}, {"preference": null}, {"output_1": "NaN"}, {"preference": NaN}, {"preference": 1.75}])");
  const auto all = read_alpaca_eval_verdicts(folder / "a.json");
  ASSERT_EQ(all.size(), 1u);
  const auto& preferences = all.front().preferences;
  ASSERT_EQ(preferences.size(), 5u);
  EXPECT_EQ(preferences[0], 1);
  for (const size_t i : {1, 2, 3}) EXPECT_TRUE(std::isnan(preferences[i]));
  EXPECT_EQ(preferences[4], 1.75);
}

}  // namespace
}  // namespace cmc::data
