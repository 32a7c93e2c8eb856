#include "pipeline/checkpoint/torch_storages.hpp"

#include <cstring>
#include <optional>

#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw BadData({where, what, "the file is damaged or was not fetched whole: fetch or save it again"});
}

// ("storage", type, key, device, elements), before torch 1.6 with a view: None or (key, first element, elements).
struct StorageName {
  StoredType type = StoredType::u8;
  std::string_view key;
  uint64_t elements = 0;
  uint64_t view_first = 0, view_elements = 0;  // all of it where there is no view
};

bool is_natural(const PickleValue& value) {
  return value.kind == PickleKind::integer && value.number >= 0 && value.number <= int64_t{1} << 48;
}

StorageName read_name(const Pickle& pickle, const PickleValue& value, const std::string& where) {
  if (value.kind != PickleKind::storage || value.items.size() < 5 || value.items.size() > 6)
    refuse(where, "has a storage of an unknown form");
  const PickleValue &type = pickle.at(value.items[1]), &key = pickle.at(value.items[2]),
                    &elements = pickle.at(value.items[4]);
  const bool typed = type.kind == PickleKind::global &&
                     (type.global.role == GlobalRole::storage_type || type.global.role == GlobalRole::untyped_storage);
  if (!typed || key.kind != PickleKind::text || !is_natural(elements))
    refuse(where, "has a storage of an unknown form");
  const auto count = static_cast<uint64_t>(elements.number);
  StorageName name{type.global.type, key.text, count, 0, count};
  if (value.items.size() == 5 || pickle.at(value.items[5]).kind == PickleKind::none) return name;
  const PickleValue& view = pickle.at(value.items[5]);
  if (view.kind != PickleKind::tuple || view.items.size() != 3 || !is_natural(pickle.at(view.items[1])) ||
      !is_natural(pickle.at(view.items[2]))) {
    refuse(where, "has a view of a storage of an unknown form");
  }
  name.view_first = static_cast<uint64_t>(pickle.at(view.items[1]).number);
  name.view_elements = static_cast<uint64_t>(pickle.at(view.items[2]).number);
  if (name.view_first > count || name.view_elements > count - name.view_first)
    refuse(where, "has a view that reaches behind its storage");
  return name;
}

}  // namespace

void refuse_big_endian(const std::string& where) {
  throw BadData({where, "was saved on a big-endian machine",
                 "load it there with torch.load and save its tensors with safetensors, which are little-endian"});
}

TorchStorage TorchStorages::find(const PickleValue& value, const std::string& where) const {
  const StorageName name = read_name(pickle_, value, where);
  const auto place = places_.find(name.key);
  if (place == places_.end()) refuse(where, "has no numbers in the file");
  const auto size = static_cast<uint64_t>(bytes_per_element(name.type));
  const uint64_t begin = place->second.begin, end = place->second.end;
  if ((end - begin) / size < name.elements) refuse(where, "has fewer numbers in the file than it says (truncated?)");
  const uint64_t first = begin + name.view_first * size;
  return {name.type, first, first + name.view_elements * size};
}

TorchStorages zip_storages(const Pickle& pickle, const ZipDirectory& entries, const std::string& prefix) {
  const std::string start = prefix + "data/";
  std::map<std::string, ZipEntry, std::less<>> places;
  for (auto entry = entries.lower_bound(start); entry != entries.end() && entry->first.starts_with(start); ++entry)
    places[entry->first.substr(start.size())] = entry->second;
  return {pickle, std::move(places)};
}

TorchStorages legacy_storages(const Pickle& pickle, const Pickle& keys, std::string_view bytes, uint64_t at,
                              const std::string& where) {
  std::map<std::string_view, StorageName> names;
  for (const PickleValue& value : pickle.values) {
    if (value.kind != PickleKind::storage) continue;
    const StorageName name = read_name(pickle, value, where);
    names[name.key] = name;
  }
  std::map<std::string, ZipEntry, std::less<>> places;
  const PickleValue& list = keys.at(keys.root);
  if (list.kind != PickleKind::list) refuse(where, "has no list of its storages");
  for (const PickleId id : list.items) {
    const auto name = names.find(keys.at(id).text);
    if (name == names.end()) refuse(where, "lists a storage that no tensor uses");
    const auto size = static_cast<uint64_t>(bytes_per_element(name->second.type));
    uint64_t elements = 0;
    if (bytes.size() - at < sizeof elements) refuse(where, "ends before its storages do (truncated?)");
    std::memcpy(&elements, bytes.data() + at, sizeof elements);
    at += sizeof elements;
    if (elements > (bytes.size() - at) / size) refuse(where, "ends before its storages do (truncated?)");
    places[std::string(name->first)] = {at, at + elements * size, false};
    at += elements * size;
  }
  return {pickle, std::move(places)};
}

}  // namespace cmc::checkpoint
