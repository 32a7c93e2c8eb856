#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "pipeline/core/file_lock.hpp"
#include "pipeline/store/unit_store.hpp"

namespace cmc::store {

// The right to compute one task of an output folder, held by one process of all that share the folder: runs and shards
// side by side do each task once. It is a lock on one byte of units/.lock, chosen by the key, so it ends with its
// process, however that ends. Where the filesystem has no locks every claim is granted: a task may then be computed
// twice, to the same unit.
class UnitClaim {
 public:
  // Nothing while another process, or another claim of this one, holds it. Throws CannotCreate or IoError.
  static std::optional<UnitClaim> take(const std::filesystem::path& output_folder, const std::string& key);

  // Excludes nobody.
  static UnitClaim unlocked() { return UnitClaim(std::nullopt); }

 private:
  explicit UnitClaim(std::optional<FileLock> lock) : lock_(std::move(lock)) {}
  std::optional<FileLock> lock_;
};

struct ClaimWaiting {
  double patience_seconds = 600;          // a holder that takes longer may be frozen: the task is computed all the same
  std::function<bool()> stop = {};        // true: give up waiting; unset: never
  std::function<void()> first_wait = {};  // called once, when another holds the claim
};

// Waits until the unit is there (nothing is returned: another run has done the task) or this process holds the claim,
// or has waited too long for it. Throws Stopped.
std::optional<UnitClaim> claim_unless_done(const UnitStore& store, const std::string& key, const ClaimWaiting& waiting);

}  // namespace cmc::store
