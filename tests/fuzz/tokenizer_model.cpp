#include "tests/fuzz/tokenizer_reading.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return cmc::fuzz::try_tokenizer(cmc::fuzz::text_of(data, size), "tokenizer.model");
}
