#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "analysis/section.hpp"
#include "pipeline/store/results.hpp"

// An experiment may be repeated with several seeds: everything is measured for each seed by itself, then put together
// here, so that tables and figures are written for one seed and know nothing of others.
namespace cmc::analysis {

// The seeds that units belong to, ascending: the one a task or its training names (`seed`), or that of its inputs. A
// unit that belongs to none stands for all.
std::vector<int64_t> seeds_of(const store::Results& results);

// The units of exactly this seed; nullopt: those of none. The header is kept.
store::Results units_of(const store::Results& results, std::optional<int64_t> seed);
// What one seed measured: its units and those that stand for all.
store::Results units_of_seed(const store::Results& results, int64_t seed);

// `make`'s section; with several seeds made of each seed and put together cell by cell and point by point: means over
// the seeds with their sample deviation, examples and heat maps of the first seed. What only units without a seed say
// stays one measurement.
Section over_seeds(const store::Results& results, Section (*make)(const store::Results&));

}  // namespace cmc::analysis
