#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace cmc::store {

// A sealed file carries its own checksum, so that one rename publishes both: HDF5 bytes, then a line of fixed length
//   "\ncmc sha256 <64 hex> <label, padded to 64>\n"
// HDF5 ignores what follows its end-of-file address, so h5dump, h5py and xarray open it as it is. By hand:
//   head -c -142 FILE | sha256sum
inline constexpr size_t seal_length = 142;

// `bytes` with its seal. `label` (at most 64 characters, the unit's key or "results") is sealed too: a file under
// another key's name is noticed.
std::string seal(std::string bytes, std::string_view label);

// What is wrong with the sealed bytes; empty when they are whole and sealed for `label`.
std::string find_damage(std::string_view sealed, std::string_view label);

// The content of a sealed file, without the seal. Throws MissingInput, IoError, or BadData with `remedy`.
std::string read_sealed(const std::filesystem::path& file, std::string_view label, std::string_view remedy);

}  // namespace cmc::store
