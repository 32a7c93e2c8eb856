#include "pipeline/core/error.hpp"

#include "pipeline/core/utf8.hpp"

namespace cmc {
namespace {
// File names, field names and lines of bad input may hold any bytes; messages go to terminals, logs and JSON.
Problem readable(Problem p) {
  for (std::string* text : {&p.where, &p.what, &p.remedy}) *text = replace_invalid_utf8(*text);
  return p;
}

std::string sentence(const Problem& p) {
  std::string text = p.where.empty() ? p.what : p.where + ": " + p.what;
  if (!p.remedy.empty()) text += " (" + p.remedy + ")";
  return text;
}
}  // namespace

Error::Error(ExitCode code, Problem problem)
    : std::runtime_error(sentence(readable(problem))), code_(code), problem_(readable(std::move(problem))) {}

void expect(bool holds, const char* contract) {
  if (!holds) throw Internal({"internal", std::string("broken contract: ") + contract, "please report this as a bug"});
}

}  // namespace cmc
