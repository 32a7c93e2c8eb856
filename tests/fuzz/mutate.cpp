#include "tests/fuzz/mutate.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstring>

namespace cmc::fuzz {
namespace {

constexpr std::array pieces = {"{",
                               "}",
                               "[",
                               "]",
                               "\"",
                               ":",
                               ",",
                               "\n",
                               "\\",
                               "\\u0000",
                               "\\ud800",
                               "null",
                               "true",
                               "1e999",
                               "-0",
                               "0.5",
                               "\xff",
                               "\xc3\xa9",
                               "\xed\xa0\x80",
                               "../",
                               "${HOME}",
                               "#",
                               "=",
                               ";",
                               "<s>",
                               "\xf0\x9f\x99\x82",
                               "[[[[[[[[",
                               "{\"a\":{\"a\":{\"a\":"};
constexpr std::array numbers = {"0",
                                "-1",
                                "1",
                                "255",
                                "65536",
                                "2147483647",
                                "-2147483648",
                                "4294967296",
                                "9223372036854775807",
                                "18446744073709551615",
                                "1e308",
                                "1e-320",
                                "99999999999999999999999",
                                "NaN"};
constexpr std::array<uint64_t, 10> lengths = {0, 1, 7, 8, 255, 65535, 100'000'000, 1ull << 31, 1ull << 63, ~0ull};

size_t below(size_t limit, Random& random) {
  return limit == 0 ? 0 : std::min(static_cast<size_t>(random.uniform() * static_cast<double>(limit)), limit - 1);
}

template <class List>
auto one_of(const List& list, Random& random) {
  return list[below(list.size(), random)];
}

// A range of at most 64 bytes, sometimes of any length.
std::pair<size_t, size_t> range_in(const std::string& text, Random& random) {
  const size_t at = below(text.size() + 1, random);
  return {at,
          below(random.uniform() < 0.9 ? std::min<size_t>(64, text.size() - at + 1) : text.size() - at + 1, random)};
}

void replace_number(std::string& text, Random& random) {
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  const auto begin =
      std::find_if(text.begin() + static_cast<std::ptrdiff_t>(below(text.size() + 1, random)), text.end(), is_digit);
  const auto end = std::find_if_not(begin, text.end(), is_digit);
  text.replace(begin, end, one_of(numbers, random));
}

void replace_length(std::string& text, Random& random) {
  const uint64_t length = one_of(lengths, random) + (random.uniform() < 0.3 ? text.size() : 0);
  const size_t bytes = size_t{1} << below(4, random);  // 1, 2, 4 or 8
  if (text.size() < bytes) return;
  std::memcpy(text.data() + (random.uniform() < 0.2 ? 0 : below(text.size() - bytes + 1, random)), &length, bytes);
}

void change(std::string& text, const std::vector<std::string>& seeds, Random& random) {
  const auto [at, length] = range_in(text, random);
  switch (below(9, random)) {
    case 0:
      if (!text.empty()) text[below(text.size(), random)] ^= static_cast<char>(1u << below(8, random));
      break;
    case 1:
      if (!text.empty()) text[below(text.size(), random)] = static_cast<char>(below(256, random));
      break;
    case 2:
      text.erase(at, length);
      break;
    case 3:
      text.insert(at, text.substr(at, length));
      break;
    case 4:
      text.insert(at, one_of(pieces, random));
      break;
    case 5: {
      const std::string& other = seeds[below(seeds.size(), random)];
      const auto [from, count] = range_in(other, random);
      text.replace(at, length, other.substr(from, count));
      break;
    }
    case 6:
      replace_number(text, random);
      break;
    case 7:
      replace_length(text, random);
      break;
    default:
      if (random.uniform() < 0.2) text.resize(at);
  }
}

}  // namespace

std::string mutate(const std::vector<std::string>& seeds, Random& random) {
  std::string text = seeds[below(seeds.size(), random)];
  for (size_t changes = 1 + below(6, random); changes > 0; --changes) change(text, seeds, random);
  return text;
}

}  // namespace cmc::fuzz
