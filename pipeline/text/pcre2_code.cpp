#include "pipeline/text/pcre2_code.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

using CompileContext = std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)>;

std::string message_of(int error) {
  char text[256];
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

const pcre2_code* program(const std::shared_ptr<const void>& code) {
  return static_cast<const pcre2_code*>(code.get());
}
pcre2_match_data* match_data(const std::unique_ptr<void, void (*)(void*)>& data) {
  return static_cast<pcre2_match_data*>(data.get());
}

}  // namespace

Pcre2Code::Pcre2Code(const std::string& expression, unsigned options, std::string where, const std::string& remedy)
    : where_(std::move(where)) {
  const CompileContext context(pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t at = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | options, &error, &at, context.get());
  if (code == nullptr)
    throw BadData({where_,
                   "does not compile: " + message_of(error) + " at offset " + std::to_string(at) + " of " + expression,
                   remedy});
  code_ = std::shared_ptr<const void>(
      code, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
}

Pcre2Search::Pcre2Search(const Pcre2Code& code, std::string_view text)
    : code_(code),
      text_(text.empty() ? std::string_view("") : text),
      data_(pcre2_match_data_create_from_pattern(program(code.code_), nullptr),
            [](void* data) { pcre2_match_data_free(static_cast<pcre2_match_data*>(data)); }) {}

bool Pcre2Search::find(size_t at, unsigned options) {
  const auto match = [&](unsigned more) {
    return pcre2_match(program(code_.code_), reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), at,
                       options | PCRE2_NO_UTF_CHECK | more, match_data(data_), nullptr);
  };
  int found = match(0);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);  // the interpreter has the heap
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0)
    throw BadData({code_.where_, "a pattern cannot be matched: " + message_of(found),
                   "simplify the pattern; it backtracks without bound"});
  return true;
}

Span Pcre2Search::span(size_t group) const {
  const size_t* ends = pcre2_get_ovector_pointer(match_data(data_));
  return {ends[2 * group], std::max(ends[2 * group], ends[2 * group + 1])};
}

size_t Pcre2Search::groups() const {
  return pcre2_get_ovector_count(match_data(data_)) - 1;
}

}  // namespace cmc::text
