#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "pipeline/text/chat_renderer.hpp"

namespace cmc::stages {

// The chat template of a model's folder, whose renderer is started when the first chat is to be written.
class ChatWriter {
 public:
  // `date`: the day that chats are told (core/date.hpp).
  ChatWriter(std::filesystem::path model_folder, std::string date);

  // The template's text; nothing where the folder has none that can be read, of which the log tells.
  std::optional<std::string> source() const;
  // Throws as text::ChatRenderer does, and BadData where the folder has no template.
  std::string write(const text::Chat& chat, text::ChatEnd end);

 private:
  std::filesystem::path folder_;
  std::string date_;
  std::unique_ptr<text::ChatRenderer> renderer_;
};

}  // namespace cmc::stages
