#include "stages/serving/server.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc::stages {
namespace {

bool is_blank(const std::string& line) {
  return line.find_first_not_of(" \t\r") == std::string::npos;
}

// The next line that says something, on every rank; empty at the end.
std::string next_line(LineInput& input, const distributed::Communicator& ranks) {
  std::string line;
  while (ranks.rank() == 0 && is_blank(line)) {
    auto read = input.next();
    line = read ? std::move(*read) : std::string();
    if (!read) break;
  }
  return ranks.size() == 1 ? line : ranks.all_gather(line).front();
}

Json parsed(const std::string& line, const std::string& where) {
  check_json_text(line, where);
  try {
    return Json::parse(line);
  } catch (const Json::exception& error) {
    throw BadData({where, "is not JSON: " + replace_invalid_utf8(error.what()), "write one JSON object a line"});
  }
}

Json told(const Problem& problem, ExitCode code) {
  return {
      {"where", problem.where}, {"what", problem.what}, {"remedy", problem.remedy}, {"code", static_cast<int>(code)}};
}

Json reply_to(const std::string& line, const std::string& where, Protocol& protocol, bool alone) {
  Json reply = {{"id", nullptr}};
  try {
    const Json asked = parsed(line, where);
    reply["id"] = json_field<Json>(asked, "id", where);
    const auto method = json_field<std::string>(asked, "method", where);
    reply["answers"] = protocol.answers(method, json_field<Json>(asked, "requests", where));
  } catch (const Stopped&) {
    throw;
  } catch (const Error& error) {
    reply["error"] = told(error.problem(), error.code());
  } catch (const std::exception& error) {  // memory that ran out: smaller requests may go well
    if (!alone) throw;                     // on this rank, and the others wait for it
    reply["error"] = told({where, std::string("failed: ") + error.what(), ""}, ExitCode::internal);
  }
  return reply;
}

void write(std::ostream& output, const Json& line) {
  output << line.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n" << std::flush;
  if (!output) throw IoError({"standard output", "cannot be written", "check the pipe"});
}

}  // namespace

void serve(LineInput& input, std::ostream& output, Protocol& protocol, const distributed::Communicator& ranks) {
  if (ranks.rank() == 0) write(output, protocol.greeting());
  for (int64_t number = 1;; ++number) {
    const std::string line = next_line(input, ranks);
    if (line.empty()) return;
    const Json reply = reply_to(line, "request line " + std::to_string(number), protocol, ranks.size() == 1);
    if (ranks.rank() == 0) write(output, reply);
  }
}

}  // namespace cmc::stages
