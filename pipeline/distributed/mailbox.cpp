#include "pipeline/distributed/mailbox.hpp"

#include "pipeline/distributed/pause.hpp"

namespace cmc::distributed {
namespace {
constexpr int letter_tag = 1;
}

void Mailbox::send(int to, const Json& content) {
  expect(transport_ != nullptr, "one rank has nobody to write to");
  const std::string text = content.dump(-1, ' ', false, Json::error_handler_t::replace);  // messages may be any bytes
  const auto bytes = std::as_bytes(std::span(text));
  transport_->send(to, letter_tag, Bytes(bytes.begin(), bytes.end()));
}

std::optional<Mailbox::Letter> Mailbox::receive() {
  if (!transport_) return std::nullopt;
  transport_->unsent();
  const auto message = transport_->receive(any_rank, letter_tag);
  if (!message) return std::nullopt;
  const char* text = reinterpret_cast<const char*>(message->bytes.data());
  return Letter{message->from, Json::parse(text, text + message->bytes.size())};
}

void Mailbox::flush() {
  if (!transport_) return;
  for (Pause pause; transport_->unsent() > 0;) pause();
}

}  // namespace cmc::distributed
