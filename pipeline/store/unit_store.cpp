#include "pipeline/store/unit_store.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/temporaries.hpp"
#include "pipeline/store/schema.hpp"
#include "pipeline/store/sealed_file.hpp"
#include "pipeline/store/unit_group.hpp"

namespace cmc::store {
namespace {
namespace fs = std::filesystem;

constexpr char run_again[] = "delete this file and run again: only this task is computed anew";

// Calls take(entry) for each entry of `folder`, in any order; a folder that is not there (any more) has none. What
// cannot be listed is an error: its units would be missing from results without a word.
template <class Take>
void for_each_entry(const fs::path& folder, Take take) {
  std::error_code error;
  fs::directory_iterator entry(folder, error), end;
  for (; !error && entry != end; entry.increment(error)) take(*entry);
  if (error && error != std::errc::no_such_file_or_directory)
    throw IoError({folder.string(), "cannot be listed: " + error.message(), "check the disk and its permissions"});
}

// Calls take(file) for each file below units/.
template <class Take>
void for_each_file(const fs::path& units, Take take) {
  for_each_entry(units, [&](const fs::directory_entry& entry) {
    std::error_code unknown;
    if (!entry.is_directory(unknown)) return take(entry.path());
    for_each_entry(entry.path(), [&](const fs::directory_entry& file) { take(file.path()); });
  });
}

bool is_unit_file(const fs::path& file) {
  const std::string key = file.stem().string();
  return file.extension() == ".h5" && is_unit_key(key) && file.parent_path().filename() == key.substr(0, 2);
}

}  // namespace

bool is_unit_key(const std::string& key) {
  return key.size() == 64 &&
         std::all_of(key.begin(), key.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string encode_unit(const Unit& unit, const std::string& where) {
  expect(is_unit_key(unit.key), "a unit's key is 64 lower-case hexadecimal digits");
  const auto lock = library_lock();
  MemoryFile file = MemoryFile::create(where);
  const std::string date = unit.provenance.is_object() ? unit.provenance.value("date", std::string()) : "";
  write_root_attributes(file.root(), "Result of one task of the CMC pipeline", date + ": computed by cmc",
                        unit.provenance);
  write_unit(file.root(), unit);
  return seal(file.close(), unit.key);
}

Unit decode_unit(std::string_view sealed, const std::string& key, const std::string& where) {
  const std::string damage = find_damage(sealed, key);
  if (!damage.empty()) throw BadData({where, damage, run_again});
  sealed.remove_suffix(seal_length);
  const auto lock = library_lock();
  const MemoryFile file = MemoryFile::open(sealed, where);
  check_schema(file.root());
  Unit unit = read_unit(file.root());
  if (unit.key != key) throw BadData({where, "holds the unit " + unit.key, run_again});
  return unit;
}

UnitStore::UnitStore(fs::path output_folder) : folder_(std::move(output_folder)) {}

fs::path UnitStore::path(const std::string& key) const {
  expect(is_unit_key(key), "a unit's key is 64 lower-case hexadecimal digits");
  return folder_ / "units" / key.substr(0, 2) / (key + ".h5");
}

bool UnitStore::has(const std::string& key) const {
  std::error_code error;
  return fs::is_regular_file(path(key), error);
}

void UnitStore::publish(const Unit& unit) const {
  const fs::path file = path(unit.key);
  publish_file(file, encode_unit(unit, file.string()));
}

Unit UnitStore::read(const std::string& key) const {
  const fs::path file = path(key);
  return decode_unit(read_file(file), key, file.string());
}

std::string UnitStore::read_stage(const std::string& key) const {
  const fs::path file = path(key);
  const std::string content = read_sealed(file, key, run_again);
  const auto lock = library_lock();
  const MemoryFile opened = MemoryFile::open(content, file.string());
  return read_text_attribute(opened.root(), schema::stage);
}

Cost UnitStore::read_cost(const std::string& key) const {
  const fs::path file = path(key);
  const std::string content = read_sealed(file, key, run_again);
  const auto lock = library_lock();
  return store::read_cost(MemoryFile::open(content, file.string()).root());
}

std::vector<std::string> UnitStore::keys() const {
  std::vector<std::string> found;
  for_each_file(folder_ / "units", [&](const fs::path& file) {
    if (is_unit_file(file)) found.push_back(file.stem().string());
  });
  std::sort(found.begin(), found.end());
  return found;
}

int64_t UnitStore::bytes() const {
  int64_t total = 0;
  for (const std::string& key : keys()) {
    std::error_code error;
    const auto size = fs::file_size(path(key), error);
    if (!error) total += static_cast<int64_t>(size);
  }
  return total;
}

std::vector<UnitStore::Damage> UnitStore::verify() const {
  std::vector<Damage> found;
  for_each_file(folder_ / "units", [&](const fs::path& file) {
    if (!is_unit_file(file)) return;
    const std::string key = file.stem().string();
    try {
      decode_unit(read_file(file), key, file.string());
    } catch (const Error& e) {
      found.push_back({key, e.problem().what});
    }
  });
  std::sort(found.begin(), found.end(), [](const Damage& a, const Damage& b) { return a.key < b.key; });
  return found;
}

int UnitStore::remove_abandoned() const {
  return cmc::remove_abandoned(folder_);
}

}  // namespace cmc::store
