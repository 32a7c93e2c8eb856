#pragma once
#include <string>

namespace cmc {

// The day that prompts are told it is where nobody says another: the same every day (that of Llama 3.1's fallback).
inline constexpr const char* pinned_date = "2024-07-26";

// Whether `text` is a day of the years 1000 to 9999, year-month-day.
bool is_date(const std::string& text);

}  // namespace cmc
