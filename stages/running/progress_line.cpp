#include "stages/running/progress_line.hpp"

#include <algorithm>
#include <cstdio>

#include "pipeline/core/log.hpp"
#include "pipeline/core/status_line.hpp"

namespace cmc::stages {

std::string clock_time(double seconds) {
  const auto whole = static_cast<long>(std::max(0.0, seconds));
  char text[32];
  std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  return text;
}

std::string describe(const distributed::Progress& p, double gone) {
  const double share = p.work_total > 0 ? p.work_done / p.work_total : 1;
  std::string text = std::to_string(p.done) + "/" + std::to_string(p.total) + " tasks";
  if (p.failed > 0) text += ", " + std::to_string(p.failed) + " failed";
  text += ", " + std::to_string(static_cast<int>(100 * share)) + " %, " + clock_time(gone) + " gone";
  if (p.done > 0 && share < 1) text += ", about " + clock_time(p.seconds_left) + " left";
  std::string now;
  for (const auto& name : p.current)
    if (!name.empty()) now += (now.empty() ? "; now: " : " | ") + name;
  return text + now;
}

void ProgressLine::show(const distributed::Progress& progress) {
  const auto now = Clock::now();
  if (now - last_ < (has_status_line() ? std::chrono::milliseconds(500) : std::chrono::seconds(30))) return;
  last_ = now;
  const std::string text = describe(progress, std::chrono::duration<double>(now - start_).count());
  if (!has_status_line()) return log_info(text);
  const double share = progress.work_total > 0 ? progress.work_done / progress.work_total : 1;
  const auto filled = static_cast<size_t>(20 * std::clamp(share, 0.0, 1.0));
  show_status_line("[" + std::string(filled, '#') + std::string(20 - filled, '.') + "] " + text);
}

void ProgressLine::finish() {
  show_status_line("");
}

}  // namespace cmc::stages
