#include "pipeline/store/unit_claim.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/output_file.hpp"

namespace cmc::store {
namespace {
namespace fs = std::filesystem;

int open_locks(const fs::path& file) {
  create_folder(file.parent_path());
  int descriptor;
  do descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) throw_file_error(file, "open", errno);
  return descriptor;
}

// A lock of the open file (not of the process), so that two threads exclude each other too and closing another descriptor
// does not release it.
bool lock_byte(int descriptor, off_t byte) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return ::fcntl(descriptor, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

}  // namespace

std::optional<UnitClaim> UnitClaim::take(const fs::path& output_folder, const std::string& key) {
  expect(is_unit_key(key), "a unit's key is 64 lower-case hexadecimal digits");
  UnitClaim claim(open_locks(output_folder / "units" / ".lock"));
  const auto byte = static_cast<off_t>(std::stoull(key.substr(0, 15), nullptr, 16));  // below 2^60: a valid offset
  if (!lock_byte(claim.descriptor_, byte)) return std::nullopt;
  return claim;
}

UnitClaim::~UnitClaim() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<UnitClaim> claim_unless_done(const UnitStore& store, const std::string& key, const ClaimWaiting& waiting) {
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
