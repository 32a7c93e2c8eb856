#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/store/unit.hpp"

namespace cmc::store {

// The finished units of one output folder: units/ab/<key>.h5, each published all or nothing.
class UnitStore {
 public:
  explicit UnitStore(std::filesystem::path output_folder);

  bool has(const std::string& key) const;
  // Built in memory (HDF5 core driver), written beside, synced, renamed. Throws CannotCreate or IoError.
  void publish(const Unit& unit) const;
  // Throws MissingInput, or BadData when the checksum does not match.
  Unit read(const std::string& key) const;
  std::vector<std::string> keys() const;  // sorted
  std::filesystem::path path(const std::string& key) const;

  struct Damage { std::string key, what; };
  // Every unit against its checksum; empty when all are whole.
  std::vector<Damage> verify() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace cmc::store
