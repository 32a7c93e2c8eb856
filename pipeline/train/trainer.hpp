#pragma once
#include "pipeline/train/training.hpp"

namespace cmc::train {

// Runs the training to its end, from its newest checkpoint where there is one, with the numbers an undisturbed run
// gives (bitwise for the same number of threads). Collective over the group. Returns what is told of all steps, those
// before a resume included. Throws BadData (examples, a vocabulary that is not the template's, a foreign checkpoint),
// Stopped.
History train(const Training& training);

}  // namespace cmc::train
