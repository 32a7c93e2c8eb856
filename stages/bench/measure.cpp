#include "stages/bench/measure.hpp"

#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "pipeline/core/error.hpp"

namespace cmc::stages {
namespace {

// Three digits that count, without an exponent.
std::string written(double value) {
  char text[64];
  const int digits = value == 0 ? 0 : std::clamp(2 - static_cast<int>(std::floor(std::log10(std::abs(value)))), 0, 6);
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string percent(double fraction) {
  return written(100 * fraction) + " %";
}

std::vector<std::string> cells_of(const Measure& m) {
  const bool once = m.least == 0 && m.most == 0;
  return {m.name, written(m.value) + " " + m.unit, once ? "" : written(m.least) + " – " + written(m.most),
          m.fraction ? percent(*m.fraction) + " of " + m.fraction_of : "",
          m.goal ? (m.at_most ? "≤ " : "≥ ") + percent(*m.goal) : ""};
}

// Columns a terminal gives to UTF-8 text of ours.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

Spread spread_of(std::vector<double> seconds) {
  expect(!seconds.empty(), "something was timed");
  std::ranges::sort(seconds);
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

double seconds_now(torch::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Spread timed(torch::Device device, int unmeasured, int times, const std::function<void()>& work) {
  for (int i = 0; i < unmeasured; ++i) work();
  std::vector<double> seconds;
  for (int i = 0; i < times; ++i) {
    const double start = seconds_now(device);
    work();
    seconds.push_back(seconds_now(device) - start);
  }
  return spread_of(std::move(seconds));
}

Json to_json(const Measure& m) {
  Json json = {{"name", m.name}, {"value", m.value}, {"unit", m.unit}};
  if (m.least != 0 || m.most != 0) json.update({{"least", m.least}, {"most", m.most}});
  if (m.fraction) json.update({{"fraction", *m.fraction}, {"fraction_of", m.fraction_of}});
  if (m.goal) json[m.at_most ? "goal_at_most" : "goal_at_least"] = *m.goal;
  json.update(m.more);
  return json;
}

Measure rate(std::string name, double amount, const Spread& seconds, std::string unit) {
  Measure measure{std::move(name), amount / seconds.median, std::move(unit), 0, 0, {}};
  measure.least = amount / seconds.most;
  measure.most = amount / seconds.least;
  return measure;
}

std::string table_of(const std::vector<Measure>& measures) {
  std::vector<std::vector<std::string>> rows = {{"", "median", "least – most", "share", "goal"}};
  for (const auto& measure : measures) rows.push_back(cells_of(measure));
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] + 2 - width_of(row[i]), ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace cmc::stages
