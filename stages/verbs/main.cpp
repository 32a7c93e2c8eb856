// The `cmc` program: picks the verb, turns errors into exit codes.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/distributed/session.hpp"
#include "pipeline/distributed/stop_request.hpp"
#include "stages/verbs/verb.hpp"

namespace {

using namespace cmc;

void print_help(std::ostream& out) {
  out << "cmc — Cross-model Control: train one delta language model, steer many LLMs\n\nusage: cmc VERB "
         "[arguments]\n\n";
  for (const auto& verb : stages::verbs())
    out << "  " << verb.name << std::string(12 - verb.name.size(), ' ') << verb.summary << "\n";
  out << "\ncmc VERB --help tells more. Exit codes: 0 done, 1 some tasks failed, 2 usage, 65 bad data, 66 missing "
         "input,\n"
         "73/74 cannot create/write, 75 stopped (run again to go on), 77 refused, 78 bad experiment, 130 "
         "interrupted.\n";
}

const stages::Verb* verb_of(const std::vector<std::string>& arguments) {
  for (const auto& verb : stages::verbs())
    if (!arguments.empty() && verb.name == arguments[0]) return &verb;
  return nullptr;
}

ExitCode run_verb(const std::vector<std::string>& arguments, const distributed::Session& session) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") {
    print_help(arguments.empty() ? std::cerr : std::cout);
    return arguments.empty() ? ExitCode::usage : ExitCode::done;
  }
  if (const auto* verb = verb_of(arguments)) return verb->run({arguments.begin() + 1, arguments.end()}, session);
  throw Usage({"cmc " + arguments[0], "is not a verb", "see cmc --help"});
}

// What a verb throws becomes this process's exit code, and its ranks' end.
int run_program(const std::vector<std::string>& arguments, const distributed::Session& session) {
  start_log({.rank = session.world().rank(), .to_terminal = session.world().rank() == 0});
  ExitCode code = ExitCode::internal;
  std::string message;
  try {
    code = run_verb(arguments, session);
    std::cout.flush();
    if (!std::cout) throw IoError({"standard output", "cannot be written", "check the disk or the pipe"});
    return static_cast<int>(code);
  } catch (const Error& error) {
    code = error.code();
    message = error.what();
  } catch (const std::exception& error) {
    message = std::string("internal error: ") + error.what();
  }
  log_error(message);
  // One rank's error ends the others too: they may wait for it for ever.
  if (session.world().size() > 1) session.abort(static_cast<int>(code));
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  // Large CPU tensors on huge pages, unless told otherwise: a training step allocates gigabytes, and faulting them in 4
  // KiB at a time took a quarter of its time. LibTorch reads it at its first allocation.
  setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
  // On Hopper cuDNN is asked for attention first and plans for tens of milliseconds at each new length. LibTorch reads
  // it when it first chooses.
  setenv("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1", 0);
  // cuBLAS gives the same bits each time only with a workspace of fixed size, which it reads when it starts.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  start_log({});
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const auto* verb = verb_of(arguments); verb && verb->stops_when_asked) distributed::heed_stop_signals();
  try {
    const distributed::Session session(argc, argv);
    return run_program(arguments, session);
  } catch (const Error& error) {  // of the session itself
    log_error(error.what());
    return static_cast<int>(error.code());
  }
}
