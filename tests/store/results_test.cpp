#include "pipeline/store/results.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/store/unit_store.hpp"
#include "tests/store/support_units.hpp"

namespace cmc::store {
namespace {

class ResultsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder);
    for (const char* name : {"a", "b", "c"}) store.publish(testing_units::everything(name));
    Unit train = testing_units::everything("t");
    train.stage = "train";
    store.publish(train);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::filesystem::path folder = testing::TempDir() + "/cmc_results_" + std::to_string(::getpid());
  UnitStore store{folder};
  ResultsHeader header{
      "A title", "[run]\nseed = 1\n", {{"software", "cmc"}, {"version", "0.1.0"}, {"date", "2026-01-31T12:00:00Z"}}};
};

TEST_F(ResultsTest, HoldsAllUnitsSortedByStageAndKey) {
  write_results(folder, header, store.keys());
  const Results results = read_results(folder / "results.h5");
  EXPECT_EQ(results.header.title, header.title);
  EXPECT_EQ(results.header.experiment, header.experiment);
  EXPECT_EQ(results.header.environment, header.environment);
  ASSERT_EQ(results.units.size(), 4u);
  for (size_t i = 1; i < 4; ++i)
    EXPECT_LT(std::tie(results.units[i - 1].stage, results.units[i - 1].key),
              std::tie(results.units[i].stage, results.units[i].key));
  for (const Unit& unit : results.units) {
    const Unit original = store.read(unit.key);
    EXPECT_EQ(unit.task, original.task);
    ASSERT_EQ(unit.datasets.size(), original.datasets.size());
    for (size_t i = 0; i < unit.datasets.size(); ++i)
      EXPECT_TRUE(unit.datasets[i].values == original.datasets[i].values);
  }
}

TEST_F(ResultsTest, BytesDependOnContentAlone) {
  auto keys = store.keys();
  write_results(folder, header, keys);
  const std::string first = read_file(folder / "results.h5");
  ::sleep(1);
  std::reverse(keys.begin(), keys.end());
  keys.push_back(keys.front());
  write_results(folder, header, keys);
  EXPECT_EQ(first, read_file(folder / "results.h5"));
}

TEST_F(ResultsTest, NoUnitsIsStillAFile) {
  write_results(folder, header, {});
  EXPECT_TRUE(read_results(folder / "results.h5").units.empty());
}

TEST_F(ResultsTest, DamagedUnitKeepsTheOldFile) {
  write_results(folder, header, store.keys());
  const std::string old = read_file(folder / "results.h5");
  const auto victim = store.path(store.keys().front());
  std::string bytes = read_file(victim);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  publish_file(victim, bytes);
  EXPECT_THROW(write_results(folder, header, store.keys()), BadData);
  EXPECT_EQ(read_file(folder / "results.h5"), old);
}

TEST_F(ResultsTest, DamageIsRefused) {
  write_results(folder, header, store.keys());
  const std::string whole = read_file(folder / "results.h5");
  for (size_t at = 0; at < whole.size(); at += 997) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    publish_file(folder / "results.h5", bytes);
    EXPECT_THROW(read_results(folder / "results.h5"), BadData) << at;
  }
  publish_file(folder / "results.h5", whole.substr(0, whole.size() / 2));
  EXPECT_THROW(read_results(folder / "results.h5"), BadData);
  publish_file(folder / "results.h5", "not HDF5");
  EXPECT_THROW(read_results(folder / "results.h5"), BadData);
  EXPECT_THROW(read_results(folder / "absent.h5"), MissingInput);
}

}  // namespace
}  // namespace cmc::store
