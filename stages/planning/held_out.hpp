#pragma once
#include <string>

#include "stages/planning/planner.hpp"

namespace cmc::stages {

// Throws BadExperiment naming section.held_out_items where it leaves nothing of the data to train on.
void expect_trained_part(Planner& planner, const std::string& section, const sections::HeldOut& held_out,
                         const records::TrainingData& data);

}  // namespace cmc::stages
