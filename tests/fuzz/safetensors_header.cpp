#include "pipeline/checkpoint/safetensors_header.hpp"

#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return cmc::fuzz::reads_or_refuses([&] {
    const auto header =
        cmc::checkpoint::parse_safetensors_header(cmc::fuzz::text_of(data, size), size, "model.safetensors");
    for (const auto& [name, tensor] : header.tensors)
      if (tensor.begin > tensor.end || tensor.end > size) std::abort();  // a view of it would leave the file
  });
}
