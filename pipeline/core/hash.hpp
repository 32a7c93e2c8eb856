#pragma once
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace cmc {

// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);

// Of a file's content, read in blocks. Throws MissingInput or IoError.
std::string sha256_file(const std::filesystem::path& file);

// A seed that depends on what is computed, never on rank or order: first 8 bytes of SHA-256 over the parts.
uint64_t seed_of(std::initializer_list<std::string_view> parts);

}  // namespace cmc
