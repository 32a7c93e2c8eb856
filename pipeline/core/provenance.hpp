#pragma once
#include "pipeline/core/json.hpp"

namespace cmc {

// What made a result: program version, compiler, build type, libraries, host, cores, start time (UTC ISO 8601;
// SOURCE_DATE_EPOCH wins). Device facts are added by the layer that knows them.
Json provenance();

std::string utc_now();  // "2026-01-31T12:00:00Z"; SOURCE_DATE_EPOCH wins

}  // namespace cmc
