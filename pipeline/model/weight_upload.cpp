#include "pipeline/model/weight_upload.hpp"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/ParallelGuard.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "pipeline/core/error.hpp"

namespace cmc::model {

struct WeightUpload::Worker {
  torch::Device device;
  torch::Tensor buffers[2];               // bytes; none on a CPU
  std::unique_ptr<c10::Event> copied[2];  // null on a CPU
  std::optional<c10::impl::VirtualGuardImpl> guard;
  std::optional<c10::Stream> stream;
  size_t next = 0;

  Worker(torch::Device on, int64_t bytes) : device(on) {
    if (!device.is_cuda()) return;
    for (torch::Tensor& buffer : buffers)
      buffer = torch::empty({bytes}, torch::TensorOptions().dtype(torch::kUInt8).pinned_memory(true));
    guard.emplace(device.type());
    guard->setDevice(device);
    stream = guard->getStreamFromGlobalPool(device, false);
    guard->exchangeStream(*stream);
    for (auto& event : copied) event = std::make_unique<c10::Event>(device.type());
  }
  void wait() const {
    for (const auto& event : copied) {
      if (event) event->synchronize();
    }
  }
};

WeightUpload::WeightUpload(torch::Device device, int threads, int64_t buffer_bytes)
    : device_(device), buffer_bytes_(buffer_bytes) {
  expect(threads > 0 && buffer_bytes > 0, "weights are brought by somebody, in something");
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

WeightUpload::~WeightUpload() {
  {
    const std::lock_guard lock(mutex_);
    jobs_.clear();
    closed_ = true;
  }
  changed_.notify_all();
}

void WeightUpload::add(const torch::Tensor& stored, const Slices& rows, const Slices& columns,
                       const torch::Tensor& target) {
  expect(stored.dim() == 2 && target.dim() == 2, "matrices are brought to a device");
  std::shared_ptr<c10::Event> allocated;
  if (device_.is_cuda()) {
    allocated = std::make_shared<c10::Event>(device_.type());
    allocated->record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  }
  int64_t row = 0;
  for (const Range& some : rows.ranges) {
    int64_t column = 0;
    for (const Range& part : columns.ranges) {
      add_rows({stored.slice(0, some.first, some.first + (some.count - 1) * some.step + 1, some.step)
                    .slice(1, part.first, part.first + (part.count - 1) * part.step + 1, part.step),
                target.narrow(0, row, some.count).narrow(1, column, part.count), allocated});
      column += part.count;
    }
    row += some.count;
  }
}

// In pieces, so that no thread is left alone with the last tensor.
void WeightUpload::add_rows(const Job& all) {
  const int64_t rows = all.target.size(0), of_a_row = all.target.size(1) * all.target.element_size();
  if (of_a_row > buffer_bytes_ && device_.is_cuda()) {
    torch::Tensor(all.target).copy_(all.stored);
    return;
  }
  const int64_t at_once = std::max<int64_t>(1, buffer_bytes_ / std::max<int64_t>(1, of_a_row));
  const std::lock_guard lock(mutex_);
  for (int64_t first = 0; first < rows; first += at_once) {
    const int64_t count = std::min(at_once, rows - first);
    jobs_.push_back({all.stored.narrow(0, first, count), all.target.narrow(0, first, count), all.allocated});
    added_ += jobs_.back().bytes();
    changed_.notify_one();
  }
}

void WeightUpload::finish(const Report& report) {
  constexpr std::chrono::seconds between_reports{3};
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    while (!ended_.wait_for(lock, between_reports, [&] { return done_ == added_ || failure_; })) {
      const int64_t done = done_, added = added_;
      lock.unlock();
      if (report) report(done, added, std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
      lock.lock();
    }
  }
  threads_.clear();  // each ends when no job is left
  if (failure_) std::rethrow_exception(failure_);
}

namespace {

// Asks the system to read what a thread will copy soon: a disk is as fast as what is asked of it at once. Parts of rows
// are left to its own reading ahead.
void will_read(const torch::Tensor& stored) {
  if (!stored.is_cpu() || !stored.is_contiguous()) return;
  constexpr uintptr_t page = 4096, most = uintptr_t{512} << 10;  // of a longer range the system reads the beginning
  const auto begin = reinterpret_cast<uintptr_t>(stored.const_data_ptr()) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(stored.const_data_ptr()) + stored.nbytes();
  for (uintptr_t at = begin; at < end; at += most)
    ::madvise(reinterpret_cast<void*>(at), std::min(most, end - at), MADV_WILLNEED);
}

}  // namespace

std::optional<WeightUpload::Job> WeightUpload::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || !jobs_.empty(); });
  if (jobs_.empty()) return std::nullopt;
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  if (jobs_.size() < threads_.size()) return job;
  const torch::Tensor ahead = jobs_[threads_.size() - 1].stored;
  lock.unlock();
  will_read(ahead);
  return job;
}

void WeightUpload::give_up() {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::current_exception();
  jobs_.clear();
  ended_.notify_all();
}

void WeightUpload::work() {
  const torch::NoGradGuard no_gradients;
  const c10::ParallelGuard alone(true);  // the threads are many enough
  std::optional<Worker> worker;
  while (const std::optional<Job> job = next()) {
    try {
      if (!worker) worker.emplace(device_, buffer_bytes_);
      copy(*job, *worker);
    } catch (...) {
      give_up();
      continue;
    }
    const std::lock_guard lock(mutex_);
    done_ += job->bytes();
    if (done_ == added_) ended_.notify_all();
  }
  if (worker) worker->wait();
}

void WeightUpload::copy(const Job& job, Worker& worker) const {
  torch::Tensor target = job.target;
  if (device_.is_cpu()) {
    target.copy_(job.stored);
    return;
  }
  if (job.allocated) job.allocated->block(*worker.stream);
  const size_t which = worker.next++ % 2;
  if (worker.copied[which]) worker.copied[which]->synchronize();
  torch::Tensor staged = worker.buffers[which]
                             .narrow(0, 0, static_cast<int64_t>(target.nbytes()))
                             .view(target.scalar_type())
                             .view(target.sizes());
  staged.copy_(job.stored);
  target.copy_(staged, /*non_blocking=*/true);
  if (worker.copied[which]) worker.copied[which]->record(*worker.stream);
}

}  // namespace cmc::model
