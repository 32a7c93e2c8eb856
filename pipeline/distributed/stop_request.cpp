#include "pipeline/distributed/stop_request.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"

namespace cmc::distributed {
namespace {

// What a signal handler may touch is a flag of static storage: the one place of the program where state is global.
volatile std::sig_atomic_t signal_seen = 0;
volatile std::sig_atomic_t interrupts = 0;

constexpr std::array signals = {SIGUSR2, SIGINT, SIGTERM};
bool requested = false;  // a StopRequest exists

extern "C" void on_signal(int signal) {
  if (signal == SIGINT) {
    interrupts = interrupts + 1;
    if (interrupts > 1) _exit(static_cast<int>(ExitCode::interrupted));
  }
  signal_seen = signal;
}

}  // namespace

void heed_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // reads and writes under way go on
  sigemptyset(&action.sa_mask);
  for (const int signal : signals) sigaction(signal, &action, nullptr);
}

StopRequest::StopRequest(std::optional<Deadline> deadline, double reserve_seconds)
    : deadline_(deadline), reserve_seconds_(reserve_seconds) {
  expect(!requested, "there is one StopRequest at a time");
  requested = true;
  heed_stop_signals();
}

StopRequest::~StopRequest() {
  signal_seen = 0;
  interrupts = 0;
  requested = false;
}

bool StopRequest::asked() const {
  return signal_seen != 0 || seconds_left() <= 0;
}

double StopRequest::seconds_left() const {
  if (!deadline_) return std::numeric_limits<double>::infinity();
  const std::chrono::duration<double> until = *deadline_ - std::chrono::system_clock::now();
  return std::max(0.0, until.count() - reserve_seconds_);
}

std::string StopRequest::reason() const {
  switch (signal_seen) {
    case SIGUSR2:
      return "signal USR2";
    case SIGINT:
      return "signal INT";
    case SIGTERM:
      return "signal TERM";
    default:
      return seconds_left() <= 0 ? "time limit" : "";
  }
}

std::optional<Deadline> slurm_deadline() {
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  if (!text) return std::nullopt;
  int64_t seconds = 0;
  const auto [stop, error] = std::from_chars(text, text + std::strlen(text), seconds);
  const auto now = std::chrono::system_clock::now();
  const auto today = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  constexpr int64_t years = int64_t{100} * 365 * 24 * 3600;
  if (error != std::errc() || *stop != '\0' || seconds > today + years || seconds <= today) {
    log_warning("SLURM_JOB_END_TIME is ", text, ", no time to come: no limit is taken from it");
    return std::nullopt;
  }
  return Deadline(std::chrono::seconds(seconds));
}

}  // namespace cmc::distributed
