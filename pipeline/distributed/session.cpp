#include "pipeline/distributed/session.hpp"

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <map>
#include <numeric>
#include <thread>

#include "pipeline/core/json.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/distributed/mpi_transport.hpp"

namespace cmc::distributed {
namespace {

std::string host_name() {
  char name[256] = "unknown";
  gethostname(name, sizeof name - 1);
  return name;
}

std::vector<int> cores_of_process() {
  std::vector<int> cores;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &mask)) cores.push_back(core);
  if (cores.empty()) {  // more cores than a cpu_set_t holds
    cores.resize(std::max(1u, std::thread::hardware_concurrency()));
    std::iota(cores.begin(), cores.end(), 0);
  }
  return cores;
}

void refuse_srun_without_pmi() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  if (!tasks || std::atoi(tasks) <= 1 || !std::getenv("SLURM_PROCID")) return;
  throw Usage({"srun", std::string("started ") + tasks + " tasks that do not know of each other",
               "use srun --mpi=pmix, or mpirun"});
}

void start_mpi(int& argc, char**& argv) {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_MULTIPLE)
    throw Internal({"MPI", "was built without MPI_THREAD_MULTIPLE", "use an MPI with full thread support"});
}

// Ranks that share memory with this one, as world ranks in order.
std::vector<int> world_ranks_on_node() {
  MPI_Comm node;
  int world_rank = 0, size = 0;
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &world_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world_rank, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  check_mpi(MPI_Comm_size(node, &size), "MPI_Comm_size");
  std::vector<int> ranks(size);
  check_mpi(MPI_Allgather(&world_rank, 1, MPI_INT, ranks.data(), 1, MPI_INT, node), "MPI_Allgather");
  MPI_Comm_free(&node);
  return ranks;
}

Session::Node node_of(const std::vector<int>& ranks_here, const Communicator& world) {
  const auto cores = world.all_gather(Json(cores_of_process()).dump());
  Session::Node node;
  node.first_rank = ranks_here.front();
  for (size_t i = 0; i < ranks_here.size(); ++i) {
    if (ranks_here[i] == world.rank()) node.rank = static_cast<int>(i);
    node.cores_of_ranks.push_back(Json::parse(cores[ranks_here[i]]).get<std::vector<int>>());
  }
  return node;
}

}  // namespace

bool started_by_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"})
    if (std::getenv(name)) return true;
  return false;
}

Session::Session(int& argc, char**& argv) : unwinding_(std::uncaught_exceptions()) {
  std::vector<int> ranks_here = {0};
  if (started_by_launcher()) {
    start_mpi(argc, argv);
    started_ = true;
    world_ = Communicator(mpi_world());
    ranks_here = world_ranks_on_node();
  } else {
    refuse_srun_without_pmi();
  }
  node_ = node_of(ranks_here, world_);
  hosts_ = world_.all_gather(host_name());
}

Session::~Session() {
  if (!started_) return;
  if (std::uncaught_exceptions() > unwinding_) abort(exit_code_);
  try {
    world_.close();  // waits without burning a core, as MPI_Finalize would
    world_ = {};
    MPI_Finalize();
  } catch (const std::exception& error) {
    log_error("while MPI ends: ", error.what());
    abort(exit_code_);
  }
}

void Session::abort(int exit_code) const {
  flush_log();
  std::fflush(nullptr);
  if (started_) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

int threads_of_this_rank(const Session& session) {
  if (const auto asked = threads_from(std::getenv("OMP_NUM_THREADS"))) return *asked;
  return cores_for(session.node().rank, session.node().cores_of_ranks);
}

int cores_for(int rank, const std::vector<std::vector<int>>& cores_of_ranks) {
  std::map<int, int> users;
  for (const auto& cores : cores_of_ranks)
    for (const int core : cores) ++users[core];
  double share = 0;
  for (const int core : cores_of_ranks.at(rank)) share += 1.0 / users[core];
  return std::max(1, static_cast<int>(share + 1e-6));
}

namespace {

// More never helps; some ten thousand end in a crash where the threads are made.
int most_threads() {
  constexpr int a_core = 4;
  return a_core * static_cast<int>(std::clamp(sysconf(_SC_NPROCESSORS_CONF), 1L, 65536L));
}

}  // namespace

std::optional<int> threads_from(const char* omp_num_threads) {
  if (!omp_num_threads) return std::nullopt;
  int threads = 0;
  const char* end = omp_num_threads + std::strlen(omp_num_threads);
  const auto [stop, error] = std::from_chars(omp_num_threads, end, threads);
  if (error == std::errc::result_out_of_range) threads = std::numeric_limits<int>::max();
  if (error == std::errc::invalid_argument || threads < 1 || (stop != end && *stop != ',')) return std::nullopt;
  return std::min(threads, most_threads());
}

std::optional<int> device_of(int rank_on_node, int devices) {
  if (devices < 1) return std::nullopt;
  return rank_on_node % devices;
}

}  // namespace cmc::distributed
