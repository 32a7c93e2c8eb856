#include "pipeline/train/hidden_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/model/device_memory.hpp"
#include "pipeline/train/packed_batch.hpp"

namespace cmc::train {
namespace {
namespace fs = std::filesystem;

constexpr int64_t block_bytes = int64_t{64} << 20;      // memory and file grow by this much
constexpr int64_t broadcast_bytes = int64_t{64} << 20;  // states are exchanged in pieces of about this size
constexpr int64_t alignment = 64;

[[noreturn]] void throw_spill(const fs::path& file, const char* doing, int error) {
  throw IoError({file.string(), std::string("cannot ") + doing + ": " + std::strerror(error),
                 "make space there, give another spill folder, or allow the kept states more memory"});
}

int open_unlinked(const fs::path& file) {
  create_folder(file.parent_path());
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) throw_spill(file, "create the file of kept states", errno);
  ::unlink(file.c_str());  // the space goes with the process, however it ends
  return descriptor;
}

}  // namespace

// Memory for states that are never freed one by one: blocks in memory up to a budget, then blocks of a mapped file.
struct HiddenStore::Arena {
  explicit Arena(const HiddenStoreSettings& settings) : budget(settings.memory_bytes) {
    const fs::path folder = settings.spill_folder.empty() ? fs::temp_directory_path() : settings.spill_folder;
    file = temporary_beside(folder / "kept-states");
  }
  ~Arena() {
    for (const auto& [at, bytes] : mapped) ::munmap(at, bytes);
    if (descriptor >= 0) ::close(descriptor);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* allocate(int64_t bytes) {
    bytes = (bytes + alignment - 1) / alignment * alignment;
    if (bytes > left) open_block(std::max(bytes, block_bytes));
    std::byte* const at = next;
    next += bytes;
    left -= bytes;
    return at;
  }

  int64_t budget, in_memory = 0, in_file = 0, left = 0;
  std::byte* next = nullptr;
  std::vector<std::unique_ptr<std::byte[]>> blocks;
  fs::path file;
  int descriptor = -1;
  std::vector<std::pair<void*, size_t>> mapped;

 private:
  void open_block(int64_t bytes) {
    if (in_memory + bytes <= budget) {
      blocks.push_back(std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(bytes)));
      next = blocks.back().get();
      in_memory += bytes;
    } else {
      next = map_block(bytes);
    }
    left = bytes;
  }

  std::byte* map_block(int64_t bytes) {
    if (descriptor < 0) descriptor = open_unlinked(file);
    // Allocated, not only extended: a full disk is an error here and not a SIGBUS at some later write.
    if (const int error = ::posix_fallocate(descriptor, in_file, bytes)) throw_spill(file, "grow", error);
    const auto length = static_cast<size_t>(bytes);
    void* const at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, in_file);
    if (at == MAP_FAILED) throw_spill(file, "map", errno);
    mapped.emplace_back(at, length);
    in_file += bytes;
    return static_cast<std::byte*>(at);
  }
};

int64_t pass_tokens_for(const model::DecoderModel& model) {
  const bool alone = model.device().is_cpu();
  return model.group().smallest(alone ? 0 : model::pass_tokens_on(model.device(), model.config(), model.dtype()));
}

namespace {

int64_t device_budget(const HiddenStoreSettings& settings, torch::Device device) {
  if (settings.device_bytes) return *settings.device_bytes;
  return device.is_cpu() ? 0 : model::memory_of(device).free / 4;
}

}  // namespace

HiddenStore::HiddenStore(std::shared_ptr<const model::DecoderModel> model, HiddenStoreSettings settings)
    : model_(std::move(model)),
      kept_as_(settings.kept_as.value_or(model_->dtype())),
      device_budget_(device_budget(settings, model_->device())),
      pass_tokens_(settings.pass_tokens ? *settings.pass_tokens : pass_tokens_for(*model_)),
      arena_(std::make_unique<Arena>(settings)) {}

HiddenStore::~HiddenStore() = default;

int64_t HiddenStore::examples() const {
  return std::ssize(places_);
}
int64_t HiddenStore::memory_bytes() const {
  return arena_->in_memory;
}
int64_t HiddenStore::spilled_bytes() const {
  return arena_->in_file;
}

model::Range HiddenStore::columns() const {
  return model::share_of(model_->output_weight().size(1), model_->group().tensor_rank());
}

int64_t HiddenStore::row_bytes() const {
  return columns().count * static_cast<int64_t>(torch::elementSize(kept_as_));
}

torch::Tensor HiddenStore::at(const Place& place) const {
  if (place.on_device.defined()) return place.on_device;
  return torch::from_blob(place.at, {place.rows, columns().count}, kept_as_);
}

// `states` [rows, own columns] of kept_as_, on the model's device or the host, whose memory is the caller's. They lie
// on the device while the budget lasts.
void HiddenStore::keep(const std::string& key, const torch::Tensor& states) {
  if (places_.contains(key)) return;
  Place place;
  place.rows = states.size(0);
  const int64_t bytes = place.rows * row_bytes();
  if (on_device_ + bytes <= device_budget_) {
    place.on_device = states.to(model_->device(), /*non_blocking=*/false, /*copy=*/states.is_cpu());
    on_device_ += bytes;
  } else {
    place.at = arena_->allocate(bytes);
    at(place).copy_(states);
  }
  places_.emplace(key, std::move(place));
}

// One pass, whose states are kept on the device as they lie, or brought to the host at once.
void HiddenStore::run(std::span<const Example* const> examples) {
  const model::Range own = columns();
  torch::Tensor states = frozen_states(*model_, examples).narrow(1, own.first, own.count).to(kept_as_);
  const bool fits = on_device_ + static_cast<int64_t>(states.nbytes()) <= device_budget_;
  if (!fits) states = states.cpu();
  int64_t first = 0;
  for (const Example* example : examples) {
    const int64_t rows = label_count(*example);
    keep(content_key(*example), states.narrow(0, first, rows));
    first += rows;
  }
}

void HiddenStore::prepare(std::span<const Example* const> examples) {
  std::vector<const Example*> missing;
  std::unordered_set<std::string> asked;
  for (const Example* example : examples) {
    const std::string key = content_key(*example);
    if (!places_.contains(key) && asked.insert(key).second) missing.push_back(example);
  }
  for (const auto& pass : passes_of(missing, pass_tokens_)) run(pass);
}

torch::Tensor HiddenStore::states(std::span<const Example* const> examples) {
  prepare(examples);
  std::vector<torch::Tensor> parts;
  for (const Example* example : examples) parts.push_back(at(places_.at(content_key(*example))));
  const auto on_host = [](const torch::Tensor& part) { return part.is_cpu(); };
  if (!std::ranges::all_of(parts, on_host))  // else they are joined there and copied once
    for (torch::Tensor& part : parts) part = part.to(model_->device());
  return model_->group().gather_columns(torch::cat(parts).to(model_->device(), model_->dtype()),
                                        model_->output_weight().size(1));
}

std::vector<const Example*> HiddenStore::missing_anywhere(std::span<const Example* const> examples,
                                                          const distributed::Communicator& group) const {
  std::vector<float> mine, sum(examples.size());
  for (const Example* example : examples) mine.push_back(places_.contains(content_key(*example)) ? 0.0f : 1.0f);
  const std::span<const float> share(mine);
  group.ordered_sum({&share, 1}, sum);
  std::vector<const Example*> missing;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (sum[i] > 0) missing.push_back(examples[i]);
  }
  return missing;
}

void HiddenStore::fill(std::span<const Example* const> examples, const distributed::Communicator& group) {
  if (group.size() == 1) return prepare(examples);
  const std::vector<const Example*> missing = missing_anywhere(examples, group);
  const auto size = static_cast<size_t>(group.size());
  std::vector<const Example*> mine;
  for (size_t i = static_cast<size_t>(group.rank()); i < missing.size(); i += size) mine.push_back(missing[i]);
  prepare(mine);
  for (size_t root = 0; root < size && group.size() > 1; ++root) {
    std::vector<const Example*> piece;
    int64_t bytes = 0;
    for (size_t i = root; i < missing.size(); i += size) {
      piece.push_back(missing[i]);
      bytes += label_count(*missing[i]) * row_bytes();
      if (bytes >= broadcast_bytes || i + size >= missing.size()) {
        exchange(piece, static_cast<int>(root), bytes, group);
        piece.clear();
        bytes = 0;
      }
    }
  }
}

void HiddenStore::exchange(std::span<const Example* const> examples, int root, int64_t bytes,
                           const distributed::Communicator& group) {
  std::vector<std::byte> buffer(static_cast<size_t>(bytes));
  std::byte* next = buffer.data();
  const auto each = [&](const auto& take) {
    next = buffer.data();
    for (const Example* example : examples) {
      const int64_t rows = label_count(*example);
      take(*example, rows);
      next += rows * row_bytes();
    }
  };
  if (group.rank() == root) {
    each([&](const Example& example, int64_t rows) {
      const torch::Tensor states = at(places_.at(content_key(example))).cpu().contiguous();
      std::memcpy(next, states.const_data_ptr(), static_cast<size_t>(rows * row_bytes()));
    });
  }
  group.broadcast(buffer, root);
  each([&](const Example& example, int64_t rows) {
    keep(content_key(example), torch::from_blob(next, {rows, columns().count}, kept_as_));
  });
}

torch::Tensor frozen_states(const model::DecoderModel& model, std::span<const Example* const> examples) {
  const torch::NoGradGuard no_grad;
  const PackedBatch packed = pack(examples, model.device());
  return model.hidden(packed.input, nullptr).index_select(0, packed.predicting);
}

}  // namespace cmc::train
