#include "pipeline/core/provenance.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <thread>

#include "core/build_info.hpp"

namespace cmc {

std::string utc_now() {
  std::time_t now = std::time(nullptr);
  if (const char* fixed = std::getenv("SOURCE_DATE_EPOCH")) now = std::atoll(fixed);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Json provenance() {
  utsname system{};
  uname(&system);
  return {{"software", "cmc"},
          {"version", CMC_VERSION},
          {"compiler", CMC_COMPILER},
          {"build_type", CMC_BUILD_TYPE},
          {"libtorch", CMC_TORCH_VERSION},
          {"hdf5", CMC_HDF5_VERSION},
          {"system", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"host", system.nodename},
          {"cores", std::thread::hardware_concurrency()},
          {"date", utc_now()}};
}

}  // namespace cmc
