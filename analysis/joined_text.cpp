#include "analysis/joined_text.hpp"

namespace cmc::analysis {

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) text += (i ? between : "") + parts[i];
  return text;
}

std::string replaced(const std::string& text, const std::function<std::string(char)>& replacement) {
  std::string out;
  for (const char c : text) out += replacement(c);
  return out;
}

}  // namespace cmc::analysis
