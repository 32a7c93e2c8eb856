#include "pipeline/store/unit_store.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "tests/store/support_units.hpp"

namespace cmc::store {
namespace {

// Datasets come back with their coordinates first, so order does not count.
void expect_same(const Unit& a, Unit b) {
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.stage, b.stage);
  EXPECT_EQ(a.task, b.task);
  EXPECT_EQ(a.provenance, b.provenance);
  EXPECT_EQ(a.cost, b.cost);
  ASSERT_EQ(a.datasets.size(), b.datasets.size());
  for (const Dataset& d : a.datasets) {
    const auto same =
        std::find_if(b.datasets.begin(), b.datasets.end(), [&](const Dataset& e) { return e.name == d.name; });
    ASSERT_NE(same, b.datasets.end()) << d.name;
    EXPECT_EQ(d.dimensions, same->dimensions) << d.name;
    EXPECT_EQ(d.shape, same->shape) << d.name;
    EXPECT_TRUE(d.values == same->values) << d.name;
    EXPECT_EQ(d.units, same->units) << d.name;
    EXPECT_EQ(d.long_name, same->long_name) << d.name;
    EXPECT_EQ(d.definition, same->definition) << d.name;
  }
  ASSERT_EQ(a.ragged.size(), b.ragged.size());
  for (size_t i = 0; i < a.ragged.size(); ++i) {
    EXPECT_EQ(a.ragged[i].name, b.ragged[i].name);
    EXPECT_EQ(a.ragged[i].dimension, b.ragged[i].dimension);
    EXPECT_EQ(a.ragged[i].values, b.ragged[i].values);
    EXPECT_EQ(a.ragged[i].offsets, b.ragged[i].offsets);
    EXPECT_EQ(a.ragged[i].units, b.ragged[i].units);
    EXPECT_EQ(a.ragged[i].long_name, b.ragged[i].long_name);
  }
}

class UnitStoreTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder = testing::TempDir() + "/cmc_store_" + std::to_string(::getpid());
  UnitStore store{folder};
};

TEST_F(UnitStoreTest, GivesBackWhatWasPublished) {
  const Unit unit = testing_units::everything("a");
  EXPECT_FALSE(store.has(unit.key));
  EXPECT_TRUE(store.keys().empty()) << "an output folder that does not exist yet has no units";
  store.publish(unit);
  EXPECT_TRUE(store.has(unit.key));
  EXPECT_EQ(store.keys(), std::vector{unit.key});
  EXPECT_EQ(store.read_stage(unit.key), "instruct");
  EXPECT_EQ(store.read_cost(unit.key), unit.cost);
  expect_same(unit, store.read(unit.key));
  EXPECT_TRUE(store.verify().empty());
  EXPECT_EQ(store.bytes(), static_cast<int64_t>(std::filesystem::file_size(store.path(unit.key))));
}

TEST_F(UnitStoreTest, SameUnitSameBytes) {
  const std::string first = encode_unit(testing_units::everything("a"), "a");
  ::sleep(1);  // HDF5 keeps times in seconds: a stored one would show
  EXPECT_EQ(first, encode_unit(testing_units::everything("a"), "b"));
}

TEST_F(UnitStoreTest, LargeArraysSurvive) {
  Unit unit = testing_units::everything("large");
  std::vector<float> values(3 * 700 * 500);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 977) / 7;
  unit.datasets.push_back({"shift", {"layer", "row", "column"}, {3, 700, 500}, values, "nat", "shift", ""});
  store.publish(unit);
  expect_same(unit, store.read(unit.key));
}

TEST_F(UnitStoreTest, PublishingAgainReplaces) {
  Unit unit = testing_units::everything("a");
  store.publish(unit);
  unit.cost.wall_seconds = 2.0;
  store.publish(unit);
  expect_same(unit, store.read(unit.key));
  EXPECT_EQ(store.keys().size(), 1u);
}

Unit small_unit() {
  Unit unit;
  unit.key = sha256("small");
  unit.stage = "train";
  unit.datasets = {{"loss", {"step"}, {3}, std::vector<float>{1, 2, 3}, "nat", "loss", ""}};
  return unit;
}

TEST_F(UnitStoreTest, EveryFlippedBitIsFound) {
  const Unit unit = small_unit();
  std::string bytes = encode_unit(unit, "small");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_THROW(decode_unit(bytes, unit.key, "small"), BadData) << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
  expect_same(unit, decode_unit(bytes, unit.key, "small"));
}

TEST_F(UnitStoreTest, EveryTruncationIsFound) {
  const Unit unit = small_unit();
  const std::string bytes = encode_unit(unit, "small");
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_THROW(decode_unit(std::string_view(bytes).substr(0, length), unit.key, "small"), BadData) << length;
  EXPECT_THROW(decode_unit(bytes + "x", unit.key, "small"), BadData);
}

TEST_F(UnitStoreTest, VerifyNamesWhatIsDamaged) {
  const Unit a = testing_units::everything("a"), b = testing_units::everything("b"), c = testing_units::everything("c");
  for (const Unit& unit : {a, b, c}) store.publish(unit);
  std::string bytes = read_file(store.path(a.key));
  bytes[1000] = static_cast<char>(bytes[1000] ^ 4);
  publish_file(store.path(a.key), bytes);
  publish_file(store.path(b.key), read_file(store.path(c.key)));  // whole, but another unit's
  publish_file(folder / "units" / "notes.txt", "hello");
  const auto damage = store.verify();
  ASSERT_EQ(damage.size(), 2u) << "a file of another kind is no damage";
  for (const auto& found : damage) {
    if (found.key == a.key) {
      EXPECT_NE(found.what.find("SHA-256"), std::string::npos) << found.what;
    }
    if (found.key == b.key) {
      EXPECT_NE(found.what.find(c.key), std::string::npos) << found.what;
    }
    EXPECT_NE(found.key, c.key);
  }
  EXPECT_THROW(store.read(a.key), BadData);
  EXPECT_THROW(store.read(b.key), BadData);
  expect_same(c, store.read(c.key));
}

TEST_F(UnitStoreTest, MissingUnitIsMissingInput) {
  EXPECT_THROW(store.read(sha256("absent")), MissingInput);
}

TEST_F(UnitStoreTest, KeysThatAreNoHashAreRefused) {
  for (const char* key : {"", "abc", "../../etc/passwd"}) EXPECT_THROW(store.path(key), Internal) << key;
}

TEST_F(UnitStoreTest, RemovesWhatKilledWritersLeft) {
  const Unit unit = testing_units::everything("a");
  store.publish(unit);
  const auto mine = temporary_beside(store.path(unit.key));
  publish_file(mine, "in work");
  char host[64] = {};
  ::gethostname(host, sizeof host - 1);
  const auto dead = mine.parent_path() / ("." + unit.key + ".h5." + host + ".2147483646.0.tmp");
  publish_file(dead, "half");
  EXPECT_EQ(store.keys().size(), 1u);
  EXPECT_TRUE(store.verify().empty()) << "work in progress is no damage";
  EXPECT_EQ(store.remove_abandoned(), 1);
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(mine)) << "its writer still lives";
}

// Each change makes a unit that contradicts itself; nothing of it may reach the disk.
class Contradiction : public UnitStoreTest, public testing::WithParamInterface<int> {};

void contradict(Unit& unit, int how) {
  Dataset& logprob = unit.datasets[1];
  switch (how) {
    case 0:
      logprob.name = "Reference";
      break;
    case 1:
      logprob.shape = {4};
      break;
    case 2:
      logprob.dimensions = {};
      break;
    case 3:
      logprob.dimensions = {"choice"};
      break;  // 3 here, 2 elsewhere
    case 4:
      logprob.name = "response";
      break;  // twice
    case 5:
      logprob.name = "choice";
      break;  // a dimension's name on other axes
    case 6:
      unit.stage = "tasks";
      break;
    case 7:
      unit.stage = "../x";
      break;
    case 8:
      unit.ragged[0].offsets = {0, 3, 2, 4};
      break;
    case 9:
      unit.ragged[0].offsets = {};
      break;
    case 10:
      unit.ragged[0].dimension = "choice";
      break;
    case 11:
      logprob.name = "response_tokens_values";
      break;
    case 12:
      logprob.units = "";
      break;
    case 13:
      unit.key = "short";
      break;
  }
}

TEST_P(Contradiction, IsABugThatNamesTheField) {
  Unit unit = testing_units::everything("a");
  contradict(unit, GetParam());
  EXPECT_THROW(store.publish(unit), Internal);
  EXPECT_FALSE(std::filesystem::exists(folder / "units"));
}
INSTANTIATE_TEST_SUITE_P(Units, Contradiction, testing::Range(0, 14));

TEST_F(UnitStoreTest, InvalidUtf8NamesTheElement) {
  Unit unit = testing_units::everything("a");
  unit.datasets[0].values = std::vector<std::string>{"fine", "\xff", ""};
  try {
    store.publish(unit);
    FAIL();
  } catch (const BadData& e) {
    EXPECT_NE(std::string(e.what()).find("response"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("element 1"), std::string::npos) << e.what();
  }
  unit = testing_units::everything("a");
  unit.task["name"] = "\xff";
  EXPECT_THROW(store.publish(unit), BadData);
}

TEST_F(UnitStoreTest, UnwritableFolderIsCannotCreate) {
  publish_file(folder, "a file where the folder should be");
  EXPECT_THROW(store.publish(testing_units::everything("a")), CannotCreate);
}

}  // namespace
}  // namespace cmc::store
