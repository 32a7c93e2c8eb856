#pragma once
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cmc {

// A program that answers lines with lines: what it reads and writes are the two ends of one socket, what it says on
// standard error is kept. Started without a shell, without this process's open files as far as it closes them itself;
// killed when this object ends.
class ChildProcess {
 public:
  using Setting = std::pair<std::string, std::string>;  // of the environment

  // `command`: a program, looked up on PATH where it is no path, and its arguments. `environment`: added to this
  // process's. Throws MissingInput where there is no such program, IoError where the system starts none.
  ChildProcess(const std::vector<std::string>& command, const std::vector<Setting>& environment);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Sends `line` and waits for one line back; nullopt where the program ends instead, does not answer within `limit`
  // or answers with more than `most` bytes: it is killed then, and ending() says why.
  std::optional<std::string> ask(const std::string& line, std::chrono::milliseconds limit, size_t most);

  // How it ended, as a clause: "ended with status 1", "was ended by signal 24 (CPU time limit exceeded)", "did not
  // answer within 60 s". Empty: it runs.
  const std::string& ending() const { return ending_; }
  const std::string& errors() const { return errors_; }  // the first part of what it said on standard error

 private:
  bool exchange(std::string_view unsent, std::string& received, std::chrono::milliseconds limit, size_t most);
  void read_errors();
  void stop(std::string why);  // kills and waits
  void note_end();             // it closed its side

  int pid_ = -1, socket_ = -1, stderr_ = -1;
  std::string ending_, errors_, received_;
};

}  // namespace cmc
