#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/records/fields.hpp"

namespace cmc::records {

// How one tries to get back what a system has unlearned.
enum class StressTest {
  none,        // it is asked as usual
  int8,        // base and delta in integers of 8 bits (DecoderModel::rounded; Zhang et al. 2024, "Catastrophic Failure
  int4,        // of LLM Unlearning via Quantization"), of 4 bits
  paraphrase,  // asked by the paraphrased questions
  prefix,      // the answer begins with a text that promises it
  relearn,     // the base is trained on every second item of the forget set, beside the frozen delta; asked the others
};
template <>
struct EnumNames<StressTest> {
  static constexpr NamedEnum names{"stress test",
                                   std::to_array<Named<StressTest>>({{StressTest::none, ""},
                                                                     {StressTest::int8, "int8"},
                                                                     {StressTest::int4, "int4"},
                                                                     {StressTest::paraphrase, "paraphrase"},
                                                                     {StressTest::prefix, "prefix"},
                                                                     {StressTest::relearn, "relearn"}})};
};

// A test with what it is set to.
struct Stress {
  StressTest test = StressTest::none;
  int64_t epochs = 0;  // of relearn
  std::string prefix;  // of prefix
  auto operator<=>(const Stress&) const = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("stress", self.test);
    visit("relearn_epochs", self.epochs, Presence::optional);
    visit("prefix", self.prefix, Presence::optional);
  }
};

// The integers that base and delta are rounded to; 0: they stay as they are.
inline int bits_of(StressTest test) {
  return test == StressTest::int8 ? 8 : test == StressTest::int4 ? 4 : 0;
}
// What people read: "int4", "relearn 2".
std::string describe(const Stress& stress);
// The set that a system under a test is measured on, "forget, int4"; what it says of itself: the set that is asked, and
// the test (none: it is no such set).
inline constexpr std::string_view stress_separator = ", ";
std::string stressed_set(const std::string& set, const Stress& stress);
std::string base_set(const std::string& set);
std::optional<Stress> stress_on(const std::string& set);
// Item `i` of the forget set is relearned; the others are asked.
inline bool is_relearned(int64_t item) {
  return item % 2 == 1;
}

}  // namespace cmc::records
