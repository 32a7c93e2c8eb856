#pragma once
#include "pipeline/text/tokenizer.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace cmc::fuzz {

// A tokenizer that loads must also encode and decode: ids in range, no crash.
inline int try_tokenizer(std::string_view bytes, const std::string& name) {
  const auto file = as_file(bytes, name);
  return reads_or_refuses([&] {
    const auto tokenizer = text::load_tokenizer(file);
    for (const char* text : {"", "abcab <s>x", "naïve 中文 🙂\n\t 12345", "\xff\xfe"}) {
      if (!is_valid_utf8(text)) continue;
      const auto ids = tokenizer->encode(text, text::AddedTokens::as_model);
      for (const auto id : ids)
        if (id < 0 || id >= tokenizer->size()) std::abort();
      tokenizer->decode(ids, text::SpecialText::keep);
    }
    tokenizer->vocabulary();
  });
}

}  // namespace cmc::fuzz
