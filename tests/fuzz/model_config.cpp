#include "pipeline/checkpoint/model_config.hpp"

#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = cmc::fuzz::as_file(cmc::fuzz::text_of(data, size), "config.json");
  return cmc::fuzz::reads_or_refuses([&] { cmc::checkpoint::read_model_config(file.parent_path()); });
}
