#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pipeline/distributed/communicator.hpp"

namespace cmc::distributed {

// MPI for the lifetime of the program. Without mpirun/srun it is one rank and MPI is not started.
// The destructor finalises, unless an exception unwinds: then the job is aborted with the code given to abort_with (70
// unless set), because the other ranks would wait in MPI_Finalize for ever. Throws Internal when MPI lacks threads,
// Usage when srun started several tasks without telling them about each other.
class Session {
 public:
  Session(int& argc, char**& argv);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Communicator& world() const { return world_; }
  int ranks_on_node() const { return static_cast<int>(node_.cores_of_ranks.size()); }
  int rank_on_node() const { return node_.rank; }
  // Host of each rank, by rank (for provenance).
  const std::vector<std::string>& hosts() const { return hosts_; }

  void abort_with(int exit_code) { exit_code_ = exit_code; }
  // Ends the whole job at once: no destructor runs.
  [[noreturn]] void abort(int exit_code) const;

  struct Node {
    int rank = 0;                                  // this rank among those on its node
    int first_rank = 0;                            // of the world: rank 0 of the node
    std::vector<std::vector<int>> cores_of_ranks;  // affinity masks of the ranks on this node
  };
  const Node& node() const { return node_; }

 private:
  Communicator world_;
  Node node_;
  std::vector<std::string> hosts_;
  bool started_ = false;
  int exit_code_ = 70;
  int unwinding_ = 0;  // exceptions under way when the session began
};

// True when the environment says that a launcher (Open MPI, PMIx, PMI-1/2) started this process as one of its ranks.
bool started_by_launcher();

// Cores this process may use: OMP_NUM_THREADS, else its share of its affinity mask, at least 1.
int threads_of_this_rank(const Session& session);

// The share of rank `rank`: each core counts 1 / (ranks on the node that may use it), rounded down, at least 1. So
// ranks bound to cores of their own get all of these, and unbound ranks divide the node.
int cores_for(int rank, const std::vector<std::vector<int>>& cores_of_ranks);

// First level of an OMP_NUM_THREADS value ("8" or "8,2"); nothing when it is no positive number. At most four
// for each core of the machine.
std::optional<int> threads_from(const char* omp_num_threads);

// The accelerator of a rank: ranks take the visible devices in turn. Nothing when there is none.
std::optional<int> device_of(int rank_on_node, int devices);

}  // namespace cmc::distributed
