#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/store/unit.hpp"

namespace cmc::store {

// The finished units of one output folder: units/ab/<key>.h5, each published all or nothing and sealed with its SHA-256
// and key (sealed_file.hpp), so that a flipped bit, a truncation or a renamed file is noticed before HDF5 reads a byte.
// Any number of processes may publish and read at once, also on a shared filesystem.
class UnitStore {
 public:
  explicit UnitStore(std::filesystem::path output_folder);

  const std::filesystem::path& folder() const { return folder_; }  // the output folder
  bool has(const std::string& key) const;                          // by name alone: O(1), reads nothing
  // Built in memory (HDF5 core driver), written beside, synced, renamed. Throws CannotCreate or IoError; Internal for a
  // unit that contradicts itself; BadData for text that is not UTF-8.
  void publish(const Unit& unit) const;
  // Throws MissingInput, or BadData when the checksum does not match.
  Unit read(const std::string& key) const;
  std::string read_stage(const std::string& key) const;  // the unit's stage alone, checked like read()
  Cost read_cost(const std::string& key) const;          // its cost alone, likewise
  std::vector<std::string> keys() const;                 // sorted
  // units/ab/<key>.h5. Throws Internal unless `key` is 64 lower-case hexadecimal digits.
  std::filesystem::path path(const std::string& key) const;
  int64_t bytes() const;  // of all units together

  struct Damage {
    std::string key, what;
  };
  // Every unit against its checksum; sorted by key, empty when all are whole. Other files are passed over.
  std::vector<Damage> verify() const;

  // Deletes what killed writers left anywhere in the output folder (temporaries.hpp); returns how many.
  int remove_abandoned() const;

 private:
  std::filesystem::path folder_;
};

bool is_unit_key(const std::string& key);  // 64 lower-case hexadecimal digits

// The bytes of a unit file, seal included, and back: UnitStore without a disk. `where` names it in errors.
std::string encode_unit(const Unit& unit, const std::string& where);
Unit decode_unit(std::string_view sealed, const std::string& key, const std::string& where);

}  // namespace cmc::store
