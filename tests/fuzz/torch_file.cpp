#include "pipeline/checkpoint/torch_file.hpp"

#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return cmc::fuzz::reads_or_refuses([&] {
    for (const auto& [name, tensor] :
         cmc::checkpoint::parse_torch_file(cmc::fuzz::text_of(data, size), "pytorch_model.bin")) {
      if (tensor.begin > tensor.end || tensor.end > size) std::abort();  // a view of it would leave the file
      uint64_t last = 0;
      for (size_t i = 0; i < tensor.shape.size(); ++i)
        last += static_cast<uint64_t>(tensor.shape[i] - 1) * static_cast<uint64_t>(tensor.strides[i]);
      const bool empty = tensor.begin == tensor.end;
      const auto bytes = static_cast<uint64_t>(cmc::checkpoint::bytes_per_element(tensor.type));
      if (!empty && (last + 1) * bytes > tensor.end - tensor.begin) std::abort();
    }
  });
}
