#pragma once
#include <functional>
#include <optional>
#include <string>

namespace cmc::stages {

// The lines of a pipe, waited for in a way that notices signals.
class LineInput {
 public:
  // `keep_on`: called about five times a second while no line comes, and after each signal; what it throws ends the
  // wait.
  LineInput(int descriptor, std::function<void()> keep_on) : descriptor_(descriptor), keep_on_(std::move(keep_on)) {}

  // Without its line break; nothing at the end, before which a line needs none. Throws IoError.
  std::optional<std::string> next();

 private:
  bool read_more();  // false at the end

  int descriptor_;
  std::function<void()> keep_on_;
  std::string buffer_;
  bool ended_ = false;
};

}  // namespace cmc::stages
