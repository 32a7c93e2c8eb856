#include "stages/serving/chat_writer.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"

namespace cmc::stages {

ChatWriter::ChatWriter(std::filesystem::path model_folder, std::string date)
    : folder_(std::move(model_folder)), date_(std::move(date)) {}

std::optional<std::string> ChatWriter::source() const {
  if (!text::has_chat_template(folder_)) return std::nullopt;
  try {
    return text::read_chat_template(folder_).source;
  } catch (const Error& error) {
    log_warning(error.what());
    return std::nullopt;
  }
}

std::string ChatWriter::write(const text::Chat& chat, text::ChatEnd end) {
  if (!renderer_) renderer_ = std::make_unique<text::ChatRenderer>(text::read_chat_template(folder_), date_);
  return renderer_->render(chat, end);
}

}  // namespace cmc::stages
