#include "pipeline/store/sealed_file.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"

namespace cmc::store {
namespace {
constexpr std::string_view mark = "\ncmc sha256 ";
constexpr size_t label_width = 64;
static_assert(seal_length == mark.size() + 64 + 1 + label_width + 1);

std::string seal_line(std::string_view content, std::string_view label) {
  std::string line(mark);
  line += sha256(content);
  line += ' ';
  line += label;
  line.append(label_width - label.size(), ' ');
  line += '\n';
  return line;
}
}  // namespace

std::string seal(std::string bytes, std::string_view label) {
  expect(label.size() <= label_width, "a seal's label has at most 64 characters");
  bytes += seal_line(bytes, label);
  return bytes;
}

std::string find_damage(std::string_view sealed, std::string_view label) {
  if (sealed.size() <= seal_length) return "is truncated (" + std::to_string(sealed.size()) + " bytes)";
  const auto content = sealed.substr(0, sealed.size() - seal_length);
  const auto found = sealed.substr(content.size());
  if (!found.starts_with(mark) || found.back() != '\n')
    return "has no checksum at its end: it is truncated or was changed";
  const std::string wanted = seal_line(content, label);
  if (found == wanted) return "";
  const size_t label_at = mark.size() + 64;
  if (found.substr(0, label_at) != std::string_view(wanted).substr(0, label_at))
    return "does not match its SHA-256 checksum";
  return "is sealed under another name (" + std::string(found.substr(label_at + 1, label_width)) + ")";
}

std::string read_sealed(const std::filesystem::path& file, std::string_view label, std::string_view remedy) {
  std::string bytes = read_file(file);
  const std::string damage = find_damage(bytes, label);
  if (!damage.empty()) throw BadData({file.string(), damage, std::string(remedy)});
  bytes.resize(bytes.size() - seal_length);
  return bytes;
}

}  // namespace cmc::store
