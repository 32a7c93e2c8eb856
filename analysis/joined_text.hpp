#pragma once
#include <functional>
#include <string>
#include <vector>

namespace cmc::analysis {

std::string joined(const std::vector<std::string>& parts, const std::string& between);
std::string replaced(const std::string& text, const std::function<std::string(char)>& replacement);

}  // namespace cmc::analysis
