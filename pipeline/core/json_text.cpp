#include "pipeline/core/json_text.hpp"

#include "pipeline/core/error.hpp"

namespace cmc {
namespace {
constexpr int deepest = 500;
constexpr char damaged_or_hostile[] = "the file is damaged or hostile: fetch it again";
}  // namespace

void check_json_text(std::string_view text, const std::string& where) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0')
      throw BadData({where, "is not valid JSON: it holds a NUL byte at " + std::to_string(i), damaged_or_hostile});
    if (in_string) {
      if (c == '\\' && i + 1 < text.size() && text[i + 1] != '\0') ++i;  // what is escaped ends no string
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > deepest)
        throw BadData({where,
                       "is not valid JSON for us: nested too deeply (more than " + std::to_string(deepest) + " levels)",
                       damaged_or_hostile});
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

}  // namespace cmc
