// A line of IFEval's file, then a response: what the line asks is checked on it.
#include "pipeline/data/ifeval.hpp"
#include "pipeline/ifeval/instruction.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = cmc::fuzz::text_of(data, size);
  const size_t line = std::min(text.find('\n'), text.size());
  const auto file = cmc::fuzz::as_file(text.substr(0, line), "input_data.jsonl");
  return cmc::fuzz::reads_or_refuses([&] {
    for (const auto& item : cmc::data::read_ifeval(file).items)
      for (const auto& instruction : cmc::ifeval::instructions_of(item)) {
        const auto verdict = instruction.verdict(text.substr(line));
        cmc::expect(verdict.loose || !verdict.strict, "what follows strictly follows loosely");
      }
  });
}
