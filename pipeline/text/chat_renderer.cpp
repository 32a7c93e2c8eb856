#include "pipeline/text/chat_renderer.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "pipeline/core/date.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "text/chat_script.hpp"

namespace cmc::text {
namespace {

using namespace std::chrono_literals;

// Of a line's answer. The process itself allows less of its own time; this is for a machine that is busy.
constexpr auto patience = 60s;
constexpr size_t largest_answer = 256u << 20;  // bytes
constexpr size_t at_once = 64;                 // chats a line

const std::string remedy =
    "use another prompt style (plain, open_instruct, inst), or give the text around the question (prompt_before, "
    "prompt_after)";

std::vector<std::string> pythons() {
  if (const char* named = std::getenv("CMC_PYTHON"); named && *named) return {named};
  return {"python3", "/usr/bin/python3"};
}

// The last line of what a program says on standard error, as Python ends a traceback.
std::string last_line(std::string text) {
  while (!text.empty() && std::string_view("\r\n ").find(text.back()) != std::string_view::npos) text.pop_back();
  return text.substr(text.rfind('\n') + 1).substr(0, 300);
}

// Templates may go through a message's fields, in the order in which people write them.
using Ordered = nlohmann::ordered_json;

Ordered to_json(const Chat& chat) {
  Ordered messages = Ordered::array();
  for (const auto& message : chat) {
    Ordered one;
    one["role"] = message.role;
    one["content"] = message.content;
    messages.push_back(std::move(one));
  }
  return messages;
}

}  // namespace

ChatRenderer::ChatRenderer(ChatTemplate chat_template, const std::string& date) : template_(std::move(chat_template)) {
  expect(is_date(date), "chats are rendered for a day");
  for (const auto& python : pythons())
    if (start(python, date)) return;
  throw MissingInput(
      {template_.where, "is rendered by a Python with jinja2, and none is found:" + without_,
       "run jobs/setup.sh (Debian: python3-jinja2), set CMC_PYTHON to a Python that has jinja2, or " + remedy});
}

// False: this Python cannot render; without_ says why.
bool ChatRenderer::start(const std::string& python, const std::string& date) {
  const auto without = [&](const std::string& why) {
    without_ += (without_.empty() ? " " : "; ") + why;
    process_.reset();
    return false;
  };
  try {
    process_.emplace(std::vector<std::string>{python, "-B", "-c", chat_renderer_program},
                     std::vector<ChildProcess::Setting>{{"TZ", "UTC"}, {"PYTHONHASHSEED", "0"}});
  } catch (const MissingInput& missing) {
    return without(python + " " + missing.problem().what);
  }
  const Json request = {{"template", template_.source}, {"variables", template_.variables}, {"date", date}};
  const auto answer = process_->ask(request.dump(), patience, largest_answer);
  if (!answer) {
    // Ended by a limit: the template is at fault. By itself: this Python.
    if (process_->errors().empty()) fail("cannot be read: the process that does so " + process_->ending(), true);
    return without(python + " " + process_->ending() + " (" + last_line(process_->errors()) + ")");
  }
  const Json reply = Json::parse(*answer);
  if (!reply.contains("error")) {
    program_ = "jinja2 " + reply.at("jinja2").get<std::string>() + " of " + python;
    return true;
  }
  const auto error = reply.at("error").get<std::string>();
  if (reply.contains("environment")) return without(error);
  fail(error, reply.contains("unsafe"));
}

void ChatRenderer::fail(const std::string& what, bool unsafe) const {
  if (unsafe) throw Refused({template_.where, what, remedy});
  throw BadData({template_.where, what, remedy});
}

std::string ChatRenderer::ask(const std::string& line) {
  auto answer = process_->ask(line, patience, largest_answer);
  if (!answer) {
    const std::string said = last_line(process_->errors());
    fail("cannot be rendered: the process that does so " + process_->ending() + (said.empty() ? "" : " (" + said + ")"),
         true);
  }
  return std::move(*answer);
}

std::vector<ChatRenderer::Rendered> ChatRenderer::try_all(const std::vector<Chat>& chats, ChatEnd end) {
  std::vector<Rendered> all;
  for (size_t first = 0; first < chats.size(); first += at_once) {
    Ordered request = Ordered::array();
    for (size_t i = first; i < std::min(chats.size(), first + at_once); ++i) request.push_back(to_json(chats[i]));
    const bool open = end == ChatEnd::open_message;
    const Json reply = Json::parse(ask(Ordered{{"chats", std::move(request)}, {"open", open}}.dump()));
    dated_ = dated_ || reply.at("dated").get<bool>();
    for (const auto& one : reply.at("replies"))
      all.push_back({one.value("text", std::string()), one.value("error", std::string()), one.contains("unsafe")});
  }
  return all;
}

std::string ChatRenderer::render(const Chat& chat, ChatEnd end) {
  auto rendered = try_all({chat}, end).front();
  if (!rendered.error.empty()) fail(rendered.error, rendered.unsafe);
  return std::move(rendered.text);
}

std::vector<std::string> ChatRenderer::literals() {
  return Json::parse(ask(R"({"literals": true})")).at("literals").get<std::vector<std::string>>();
}

}  // namespace cmc::text
