#pragma once
#include <map>
#include <string>
#include <string_view>

#include "pipeline/checkpoint/pickle_reader.hpp"
#include "pipeline/checkpoint/zip_directory.hpp"

namespace cmc::checkpoint {

// A row of numbers that tensors share, where it lies in the file.
struct TorchStorage {
  StoredType type = StoredType::u8;
  uint64_t begin = 0, end = 0;
};

// The storages that a pickle of torch.save names, and where the file has their bytes. It holds `pickle`.
class TorchStorages {
 public:
  TorchStorages(const Pickle& pickle, std::map<std::string, ZipEntry, std::less<>> places)
      : pickle_(pickle), places_(std::move(places)) {}
  // `value` as an argument of a tensor. Throws BadData naming `where`.
  TorchStorage find(const PickleValue& value, const std::string& where) const;

 private:
  const Pickle& pickle_;
  std::map<std::string, ZipEntry, std::less<>> places_;  // key → bytes in the file
};

// In a zip archive: the entries PREFIXdata/KEY.
TorchStorages zip_storages(const Pickle& pickle, const ZipDirectory& entries, const std::string& prefix);

// Before torch 1.6: from `at` in the order of `keys`, each after the number of its elements.
TorchStorages legacy_storages(const Pickle& pickle, const Pickle& keys, std::string_view bytes, uint64_t at,
                              const std::string& where);

[[noreturn]] void refuse_big_endian(const std::string& where);

}  // namespace cmc::checkpoint
