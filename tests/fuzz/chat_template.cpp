// Finding a chat template and what it may write; rendering it is another program's (tests/text/test_prompts.py).
#include "pipeline/text/chat_template.hpp"

#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = cmc::fuzz::as_file(cmc::fuzz::text_of(data, size), "tokenizer_config.json");
  return cmc::fuzz::reads_or_refuses([&] {
    if (!cmc::text::has_chat_template(file.parent_path())) return;
    const auto found = cmc::text::read_chat_template(file.parent_path());
    if (!cmc::is_valid_utf8(found.source)) std::abort();
  });
}
