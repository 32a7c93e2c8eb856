#pragma once
#include <memory>

#include "pipeline/distributed/transport.hpp"

namespace cmc::distributed {

// All ranks of the job. MPI must be initialised with MPI_THREAD_MULTIPLE. Collective.
std::shared_ptr<Transport> mpi_world();

// Throws Internal with MPI's own words unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call);

}  // namespace cmc::distributed
