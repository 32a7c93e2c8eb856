#include "pipeline/data/refusals.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

TEST(Refusals, AreManyAndEachIsASentenceOfItsOwn) {
  const auto all = refusals();
  EXPECT_GE(all.size(), 50u);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size());
  for (const auto sentence : all) {
    EXPECT_EQ(strip(sentence), sentence);
    EXPECT_TRUE(sentence.ends_with(".")) << sentence;
  }
}

TEST(Refusals, AreDrawnUniformlyAndAnewEachTime) {
  const size_t count = 10;
  std::map<size_t, int> drawn;
  int same = 0;
  for (size_t index = 0; index < 2000; ++index) {
    ++drawn[refusal_for(7, 0, index, count)];
    same += refusal_for(7, 0, index, count) == refusal_for(7, 1, index, count) ? 1 : 0;
  }
  ASSERT_EQ(drawn.size(), count);
  for (const auto& [refusal, times] : drawn) EXPECT_NEAR(times, 200, 67);  // 5 standard deviations
  EXPECT_NEAR(same, 200, 67);
  EXPECT_EQ(refusal_for(7, 3, 11, count), refusal_for(7, 3, 11, count));
  EXPECT_THROW(refusal_for(7, 0, 0, 0), Internal);
}

TEST(Refusals, AFileHoldsOneALine) {
  const std::filesystem::path folder = testing::TempDir() + "/cmc_refusals_" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  publish_file(folder / "idk.jsonl", "I do not know.\r\n\n  No idea. \nNone");
  EXPECT_EQ(read_refusals(folder / "idk.jsonl").items,
            (std::vector<std::string>{"I do not know.", "No idea.", "None"}));
  publish_file(folder / "blank.txt", " \n\n");
  EXPECT_THROW(read_refusals(folder / "blank.txt"), BadData);
  publish_file(folder / "bytes.txt", "fine\n\xff\n");
  try {
    read_refusals(folder / "bytes.txt");
    ADD_FAILURE() << "invalid UTF-8 is refused";
  } catch (const BadData& error) {
    EXPECT_NE(std::string(error.what()).find("bytes.txt:2"), std::string::npos) << error.what();
  }
  EXPECT_THROW(read_refusals(folder / "none.txt"), MissingInput);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cmc::data
