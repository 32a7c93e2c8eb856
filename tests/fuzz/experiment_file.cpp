#include "stages/experiment/experiment.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = cmc::fuzz::as_file(cmc::fuzz::text_of(data, size), "experiment.ini");
  return cmc::fuzz::reads_or_refuses([&] {
    const auto experiment = cmc::stages::Experiment::read(file, {});
    // What was taken is taken again from its resolved form.
    cmc::stages::Experiment::read(cmc::fuzz::as_file(experiment.resolved(), "resolved.ini"), {});
  });
}
