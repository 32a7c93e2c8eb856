#pragma once
#include <stdexcept>
#include <string>

namespace cmc {

// Process exit codes (sysexits.h where one fits).
enum class ExitCode : int {
  done = 0,
  some_failed = 1,      // some tasks failed, the others are done
  usage = 2,            // wrong command line
  bad_data = 65,        // input exists but is malformed
  missing_input = 66,   // input does not exist or cannot be opened
  internal = 70,        // a broken contract: a bug of ours
  cannot_create = 73,   // output cannot be created
  io_error = 74,        // read/write failed, disk full
  stopped = 75,         // stopped at a checkpoint: run again to continue
  refused = 77,         // refused as unsafe
  bad_experiment = 78,  // the experiment file is wrong
  interrupted = 130,
};

// What went wrong, where, and what to do about it. Printed as "where: what (remedy)".
struct Problem {
  std::string where;   // file, and field or line inside it: "model/config.json: rope_theta"
  std::string what;    // "is negative (-1)"
  std::string remedy;  // "give a positive number"; may be empty
};

// Base of every error a user can meet; main() turns it into its exit code.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, Problem problem);
  ExitCode code() const { return code_; }
  const Problem& problem() const { return problem_; }

 private:
  ExitCode code_;
  Problem problem_;
};

// Bad input: always checked, names file, field and remedy.
struct BadData : Error {
  explicit BadData(Problem p) : Error(ExitCode::bad_data, std::move(p)) {}
};
struct MissingInput : Error {
  explicit MissingInput(Problem p) : Error(ExitCode::missing_input, std::move(p)) {}
};
struct Usage : Error {
  explicit Usage(Problem p) : Error(ExitCode::usage, std::move(p)) {}
};
struct BadExperiment : Error {
  explicit BadExperiment(Problem p) : Error(ExitCode::bad_experiment, std::move(p)) {}
};
struct Refused : Error {
  explicit Refused(Problem p) : Error(ExitCode::refused, std::move(p)) {}
};
// The environment: disk, MPI, device.
struct CannotCreate : Error {
  explicit CannotCreate(Problem p) : Error(ExitCode::cannot_create, std::move(p)) {}
};
struct IoError : Error {
  explicit IoError(Problem p) : Error(ExitCode::io_error, std::move(p)) {}
};
// Not a failure: the run was asked to stop and can go on later.
struct Stopped : Error {
  explicit Stopped(Problem p) : Error(ExitCode::stopped, std::move(p)) {}
};
// A broken contract between our own parts.
struct Internal : Error {
  explicit Internal(Problem p) : Error(ExitCode::internal, std::move(p)) {}
};

// Throws Internal naming `contract` unless `holds`.
void expect(bool holds, const char* contract);

}  // namespace cmc
