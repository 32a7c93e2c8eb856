#include "pipeline/core/hash.hpp"

#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <vector>

#include "pipeline/core/error.hpp"

namespace cmc {
namespace {
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    static const char* digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) (text += digits[digest[i] >> 4]) += digits[digest[i] & 15];
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};
}  // namespace

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw MissingInput({file.string(), "does not exist or cannot be opened", "check the path"});
  Sha256 hash;
  std::vector<char> block(1 << 20);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0)
    hash.add({block.data(), static_cast<size_t>(in.gcount())});
  if (in.bad()) throw IoError({file.string(), "cannot be read", "check the disk"});
  return hash.hex();
}

uint64_t seed_of(std::initializer_list<std::string_view> parts) {
  std::string joined;
  for (auto part : parts) (joined += std::to_string(part.size()) + ":") += part;
  return std::stoull(sha256(joined).substr(0, 16), nullptr, 16);
}

}  // namespace cmc
