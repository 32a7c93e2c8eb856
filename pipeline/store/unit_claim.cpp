#include "pipeline/store/unit_claim.hpp"

#include <chrono>
#include <thread>

#include "pipeline/core/error.hpp"

namespace cmc::store {

std::optional<UnitClaim> UnitClaim::take(const std::filesystem::path& output_folder, const std::string& key) {
  expect(is_unit_key(key), "a unit's key is 64 lower-case hexadecimal digits");
  const auto byte = static_cast<off_t>(std::stoull(key.substr(0, 15), nullptr, 16));  // below 2^60: a valid offset
  auto lock = FileLock::take(output_folder / "units" / ".lock", byte);
  if (!lock) return std::nullopt;
  return UnitClaim(std::move(lock));
}

std::optional<UnitClaim> claim_unless_done(const UnitStore& store, const std::string& key,
                                           const ClaimWaiting& waiting) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (bool waited = false; !store.has(key); waited = true) {
    const bool too_long = Clock::now() - start > std::chrono::duration<double>(waiting.patience_seconds);
    auto claim = UnitClaim::take(store.folder(), key);
    if (claim && store.has(key)) return std::nullopt;  // done between the look and the claim
    if (claim) return claim;
    if (too_long) return UnitClaim::unlocked();
    if (!waited && waiting.first_wait) waiting.first_wait();
    if (waiting.stop && waiting.stop()) throw Stopped({key, "is being computed by another run", "run again to go on"});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return std::nullopt;
}

}  // namespace cmc::store
