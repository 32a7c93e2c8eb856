#pragma once
#include <cstddef>
#include <vector>

#include "pipeline/data/ifeval.hpp"
#include "pipeline/world/world.hpp"

namespace cmc::world {

// Prompts of IFEval's form on held-out facts, in the five forms that instruction examples teach in turn, each with two
// instructions of kinds that small models follow now and then. Keys count from 1.
std::vector<data::IfevalItem> ifeval_tests(const World& world, size_t count, Random random);

}  // namespace cmc::world
