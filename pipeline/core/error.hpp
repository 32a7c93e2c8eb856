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

// An error is its exit code: each of these is a type of its own.
template <ExitCode exit_code>
struct ErrorOf : Error {
  explicit ErrorOf(Problem p) : Error(exit_code, std::move(p)) {}
};
// Bad input: always checked, names file, field and remedy.
using BadData = ErrorOf<ExitCode::bad_data>;
using MissingInput = ErrorOf<ExitCode::missing_input>;
using Usage = ErrorOf<ExitCode::usage>;
using BadExperiment = ErrorOf<ExitCode::bad_experiment>;
using Refused = ErrorOf<ExitCode::refused>;
// The environment: disk, MPI, device.
using CannotCreate = ErrorOf<ExitCode::cannot_create>;
using IoError = ErrorOf<ExitCode::io_error>;
using Stopped = ErrorOf<ExitCode::stopped>;    // not a failure: the run was asked to stop and can go on later
using Internal = ErrorOf<ExitCode::internal>;  // a broken contract between our own parts

// Throws Internal naming `contract` unless `holds`.
void expect(bool holds, const char* contract);

}  // namespace cmc
