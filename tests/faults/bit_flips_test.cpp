// 10,000 single bit flips in units of several shapes and in a merged file: each is refused and the file is named. No
// byte is without effect: the seal covers every byte before it, and each of its own is compared.
#include <gtest/gtest.h>
#include <unistd.h>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/store/results.hpp"
#include "pipeline/store/sealed_file.hpp"
#include "pipeline/store/unit_store.hpp"
#include "tests/store/support_units.hpp"

namespace cmc::store {
namespace {

constexpr int flips_each = 2'000;  // five files

Unit bare() {
  Unit unit;
  unit.key = sha256("bare");
  unit.stage = "token_map";
  unit.task = unit.provenance = Json::object();
  return unit;
}

Unit numbers(int64_t count) {
  Unit unit = bare();
  unit.key = sha256("numbers");
  std::vector<double> values(static_cast<size_t>(count));
  Random random(3);
  for (double& value : values) value = random.uniform();
  unit.datasets = {{"loss", {"step"}, {count}, values, "nat", "loss", ""}};
  return unit;
}

void flip(std::string& bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1u << bit % 8));
}

// How many flips `read` took for whole; every seventh falls on the seal.
template <class Read>
int silent_flips(std::string bytes, const std::string& name, uint64_t seed, Read read) {
  Random random(seed);
  int silent = 0;
  for (int i = 0; i < flips_each; ++i) {
    const size_t first = i % 7 == 0 ? bytes.size() - seal_length : 0;
    const size_t bit =
        first * 8 + static_cast<size_t>(random.uniform() * static_cast<double>((bytes.size() - first) * 8));
    flip(bytes, bit);
    try {
      read(bytes);
      ++silent;
      ADD_FAILURE() << name << ": bit " << bit << " of " << bytes.size() * 8 << " flipped without a word";
    } catch (const BadData& error) {
      EXPECT_NE(error.problem().where.find(name), std::string::npos) << error.what();
    }
    flip(bytes, bit);
  }
  read(bytes);  // and whole again
  return silent;
}

TEST(BitFlips, NoneInAUnitIsSilent) {
  uint64_t seed = 1;
  for (const Unit& unit : {bare(), numbers(60'000), testing_units::unlearn("u"), testing_units::everything("e")}) {
    const std::string name = "units/" + unit.key + ".h5";
    const auto read = [&](const std::string& bytes) { decode_unit(bytes, unit.key, name); };
    EXPECT_EQ(silent_flips(encode_unit(unit, name), name, seed++, read), 0);
  }
}

TEST(BitFlips, NoneInTheResultsIsSilent) {
  const std::filesystem::path folder = testing::TempDir() + "/cmc_flips_" + std::to_string(::getpid());
  const UnitStore store(folder);
  for (const Unit& unit : {numbers(1'000), testing_units::unlearn("u"), testing_units::everything("e")})
    store.publish(unit);
  write_results(folder, {"Flips", "[run]\n", {{"version", "1"}}}, store.keys());
  const std::string bytes = read_file(folder / "results.h5");
  const auto read = [](const std::string& damaged) { decode_results(damaged, "results.h5"); };
  EXPECT_EQ(silent_flips(bytes, "results.h5", 9, read), 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cmc::store
