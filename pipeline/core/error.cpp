#include "pipeline/core/error.hpp"

namespace cmc {
namespace {
std::string sentence(const Problem& p) {
  std::string text = p.where.empty() ? p.what : p.where + ": " + p.what;
  if (!p.remedy.empty()) text += " (" + p.remedy + ")";
  return text;
}
}  // namespace

Error::Error(ExitCode code, Problem problem)
    : std::runtime_error(sentence(problem)), code_(code), problem_(std::move(problem)) {}

void expect(bool holds, const char* contract) {
  if (!holds) throw Internal({"internal", std::string("broken contract: ") + contract, "please report this as a bug"});
}

}  // namespace cmc
