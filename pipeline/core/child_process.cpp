#include "pipeline/core/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "pipeline/core/error.hpp"

extern char** environ;

namespace cmc {
namespace {

constexpr size_t kept_errors = 1 << 14;  // bytes

[[noreturn]] void fail(const std::string& program, int error) {
  if (error == ENOENT || error == EACCES || error == ENOTDIR)
    throw MissingInput({program, std::string("cannot be started: ") + std::strerror(error), ""});
  throw IoError({program, std::string("cannot be started: ") + std::strerror(error), "end other processes"});
}

// Closed at the end of its scope, unless taken.
struct Handle {
  int fd = -1;
  ~Handle() {
    if (fd >= 0) close(fd);
  }
  int take() { return std::exchange(fd, -1); }
};

std::vector<std::string> environment_with(const std::vector<ChildProcess::Setting>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry, name = text.substr(0, text.find('='));
    if (std::ranges::none_of(added, [&](const auto& setting) { return setting.first == name; })) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// Signals as a program expects them at its start, whatever this process blocks or ignores.
struct SpawnSettings {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  SpawnSettings(int socket, int errors) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, socket, 0);
    posix_spawn_file_actions_adddup2(&actions, socket, 1);
    posix_spawn_file_actions_adddup2(&actions, errors, 2);
  }
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
};

std::string described(int status) {
  if (WIFEXITED(status)) return "ended with status " + std::to_string(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  return "was ended by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
}

void no_blocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::vector<Setting>& environment) {
  int sockets[2], pipes[2];
  const std::string& program = command.at(0);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) fail(program, errno);
  Handle ours{sockets[0]}, theirs{sockets[1]};
  if (pipe2(pipes, O_CLOEXEC) != 0) fail(program, errno);
  Handle errors{pipes[0]}, their_errors{pipes[1]};
  std::vector<std::string> arguments = command, variables = environment_with(environment);
  const SpawnSettings settings(theirs.fd, their_errors.fd);
  const int error = posix_spawnp(&pid_, program.c_str(), &settings.actions, &settings.attributes,
                                 pointers_to(arguments).data(), pointers_to(variables).data());
  if (error != 0) fail(program, error);
  socket_ = ours.take();
  stderr_ = errors.take();
  no_blocking(socket_);
  no_blocking(stderr_);
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) stop("was not needed any more");
  if (socket_ >= 0) close(socket_);
  if (stderr_ >= 0) close(stderr_);
}

void ChildProcess::stop(std::string why) {
  ending_ = std::move(why);
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void ChildProcess::note_end() {
  // What closed its side may still run: it has a moment to end by itself.
  int status = 0, ended = 0;
  for (int waited = 0; waited < 200 && ended == 0; ++waited) {
    read_errors();
    ended = waitpid(pid_, &status, WNOHANG);
    if (ended == 0) usleep(10'000);
  }
  read_errors();
  if (ended == 0) return stop("closed its output");
  pid_ = -1;
  ending_ = ended > 0 ? described(status) : "ended";
}

void ChildProcess::read_errors() {
  char buffer[4096];
  ssize_t got;
  while ((got = read(stderr_, buffer, sizeof buffer)) > 0)
    if (errors_.size() < kept_errors) errors_.append(buffer, static_cast<size_t>(got));
}

bool ChildProcess::exchange(std::string_view unsent, std::string& received, std::chrono::milliseconds limit,
                            size_t most) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + limit;
  char buffer[65536];
  while (received.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) {
      stop("did not answer within " + std::to_string(limit.count() / 1000) + " s");
      return false;
    }
    pollfd waits[2] = {{socket_, static_cast<short>(unsent.empty() ? POLLIN : POLLIN | POLLOUT), 0},
                       {stderr_, POLLIN, 0}};
    const bool says_errors = errors_.size() < kept_errors;
    if (poll(waits, says_errors ? 2 : 1, static_cast<int>(std::min<int64_t>(left, 100))) < 0 && errno != EINTR)
      throw IoError({"the pipe to a program", std::strerror(errno), ""});
    read_errors();
    if (!unsent.empty()) {
      const ssize_t sent = send(socket_, unsent.data(), unsent.size(), MSG_NOSIGNAL);
      if (sent > 0) unsent.remove_prefix(static_cast<size_t>(sent));
    }
    const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
    if (got > 0) received.append(buffer, static_cast<size_t>(got));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      note_end();
      return false;
    }
    if (received.size() > most) {
      stop("answered with more than " + std::to_string(most) + " bytes");
      return false;
    }
  }
  return true;
}

std::optional<std::string> ChildProcess::ask(const std::string& line, std::chrono::milliseconds limit, size_t most) {
  if (pid_ < 0) return std::nullopt;
  if (!exchange(line + "\n", received_, limit, most)) return std::nullopt;
  const size_t end = received_.find('\n');
  std::string answer = received_.substr(0, end);
  received_.erase(0, end + 1);
  return answer;
}

}  // namespace cmc
