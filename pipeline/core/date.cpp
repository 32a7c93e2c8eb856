#include "pipeline/core/date.hpp"

#include <charconv>
#include <chrono>

namespace cmc {

bool is_date(const std::string& text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto number = [&](size_t at, size_t count) {
    unsigned value = 0;
    const char* const end = text.data() + at + count;
    const auto [stop, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc() && stop == end ? value : 0;
  };
  const std::chrono::year year(static_cast<int>(number(0, 4)));
  return static_cast<int>(year) >= 1000 &&
         std::chrono::year_month_day(year, std::chrono::month(number(5, 2)), std::chrono::day(number(8, 2))).ok();
}

}  // namespace cmc
