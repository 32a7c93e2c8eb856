#pragma once
#include "pipeline/dist/communicator.hpp"

namespace cmc::dist {

// MPI for the lifetime of the program. Without mpirun/srun it is one rank and MPI is not started.
// The destructor finalises, unless an exception unwinds (then the job is aborted with the exit code set by abort_with).
class Session {
 public:
  Session(int& argc, char**& argv);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Communicator& world() const { return world_; }
  int ranks_on_node() const;   // for dividing cores and devices
  int rank_on_node() const;
  [[noreturn]] void abort(int exit_code) const;

 private:
  Communicator world_;
  bool started_ = false;
};

// Cores this process may use: OMP_NUM_THREADS, else (cores in its affinity mask) / ranks on the node, at least 1.
int threads_of_this_rank(const Session& session);

}  // namespace cmc::dist
