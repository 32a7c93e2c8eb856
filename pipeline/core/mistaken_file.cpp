#include "pipeline/core/mistaken_file.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "pipeline/core/error.hpp"
#include "pipeline/core/utf8.hpp"

namespace cmc {

namespace {

constexpr const char* fetch_again = "fetch it again";

struct Magic {
  std::string_view bytes;
  const char* what;
  const char* remedy;
};
constexpr std::array<Magic, 7> magics = {{
    {"GGUF", "is a GGUF file", "turn it into a model folder with jobs/import_gguf.py"},
    {"\x89HDF\r\n\x1a\n", "is an HDF5 file, as TensorFlow saves weights", "fetch the model's safetensors files"},
    {"\x1f\x8b", "is compressed (gzip)", "unpack it"},
    {"\x28\xb5\x2f\xfd", "is compressed (zstd)", "unpack it"},
    {"\xfd\x37zXZ", "is compressed (xz)", "unpack it"},
    {"BZh", "is compressed (bzip2)", "unpack it"},
    {"7z\xbc\xaf\x27\x1c", "is an archive (7z)", "unpack it"},
}};

// What servers of models answer instead of a file, where a download keeps the answer under the file's name.
constexpr std::array<std::string_view, 9> answers = {"entry not found",
                                                     "repository not found",
                                                     "access to model",
                                                     "access to dataset",
                                                     "invalid username or password",
                                                     "invalid credentials",
                                                     "unauthorized",
                                                     "{\"error\":",
                                                     "too many requests"};

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

// The number behind "size " in a Git LFS pointer; empty where there is none.
std::string size_in_pointer(std::string_view pointer) {
  const size_t at = pointer.find("\nsize ");
  if (at == std::string_view::npos) return "";
  const std::string_view rest = pointer.substr(at + 6);
  return std::string(rest.substr(0, std::min<size_t>(rest.find_first_not_of("0123456789"), 20)));
}

}  // namespace

void check_not_mistaken(std::string_view start, uint64_t file_bytes, const std::string& where) {
  if (file_bytes == 0) throw BadData({where, "is empty", fetch_again});
  start = start.substr(0, 512);
  if (start.starts_with("version https://git-lfs.github.com/spec/")) {
    const std::string size = size_in_pointer(start);
    throw BadData({where,
                   "is a Git LFS pointer, not the file itself" + (size.empty() ? "" : ", which has " + size + " bytes"),
                   "run git lfs pull in its repository, or fetch it again (jobs/fetch.sh)"});
  }
  for (const Magic& magic : magics) {
    if (start.starts_with(magic.bytes)) throw BadData({where, magic.what, magic.remedy});
  }
  if (start.size() == 512 && start.find_first_not_of('\0') == std::string_view::npos) {
    throw BadData({where, "begins with zeros: its download did not finish", fetch_again});
  }
  const size_t first = start.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return;
  const std::string text = lower_case(start.substr(first));
  for (const std::string_view page : {"<!doctype html", "<html", "<?xml", "<error"}) {
    if (!text.starts_with(page)) continue;
    throw BadData({where, "is a web page, which a server sent instead of the file",
                   "fetch it again, logged in where its publisher asks for that"});
  }
  for (const std::string_view answer : answers) {
    if (!text.starts_with(answer)) continue;
    const std::string_view line = start.substr(first, std::min<size_t>(start.find('\n', first) - first, 100));
    throw BadData({where, "is a server's answer instead of the file (" + replace_invalid_utf8(line) + ")",
                   "fetch it again, logged in where its publisher asks for that"});
  }
}

}  // namespace cmc
