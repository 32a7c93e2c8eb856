#include "pipeline/model/weight_upload.hpp"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "pipeline/core/error.hpp"

namespace cmc::model {

struct WeightUpload::Worker {
  torch::Device device;
  torch::Tensor buffers[2];               // bytes
  std::unique_ptr<c10::Event> copied[2];  // null on a CPU
  std::optional<c10::impl::VirtualGuardImpl> guard;
  std::optional<c10::Stream> stream;
  size_t next = 0;

  Worker(torch::Device on, int64_t bytes) : device(on) {
    const bool cuda = device.is_cuda();
    for (torch::Tensor& buffer : buffers)
      buffer = torch::empty({bytes}, torch::TensorOptions().dtype(torch::kUInt8).pinned_memory(cuda));
    if (!cuda) return;
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
      Job job{stored.narrow(0, some.first, some.count).narrow(1, part.first, part.count),
              target.narrow(0, row, some.count).narrow(1, column, part.count), allocated};
      column += part.count;
      if (part.count * static_cast<int64_t>(target.element_size()) > buffer_bytes_) {
        job.target.copy_(job.stored);
        continue;
      }
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      changed_.notify_one();
    }
    row += some.count;
  }
}

void WeightUpload::finish() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  threads_.clear();  // each ends when no job is left
  if (failure_) std::rethrow_exception(failure_);
}

void WeightUpload::work() {
  const torch::NoGradGuard no_gradients;
  std::optional<Worker> worker;
  for (;;) {
    std::optional<Job> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !jobs_.empty(); });
      if (jobs_.empty()) break;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    try {
      if (!worker) worker.emplace(device_, buffer_bytes_);
      copy(*job, *worker);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      jobs_.clear();
    }
  }
  if (worker) worker->wait();
}

void WeightUpload::copy(const Job& job, Worker& worker) const {
  const int64_t rows = job.target.size(0), columns = job.target.size(1);
  const int64_t bytes_of_a_row = columns * static_cast<int64_t>(job.target.element_size());
  const int64_t at_once = std::max<int64_t>(1, buffer_bytes_ / bytes_of_a_row);
  if (job.allocated) job.allocated->block(*worker.stream);
  for (int64_t first = 0; first < rows; first += at_once) {
    const int64_t count = std::min(at_once, rows - first);
    const size_t which = worker.next++ % 2;
    if (worker.copied[which]) worker.copied[which]->synchronize();
    torch::Tensor staged = worker.buffers[which]
                               .narrow(0, 0, count * bytes_of_a_row)
                               .view(job.target.scalar_type())
                               .view({count, columns});
    staged.copy_(job.stored.narrow(0, first, count));
    torch::Tensor to = job.target.narrow(0, first, count);
    to.copy_(staged, /*non_blocking=*/true);
    if (worker.copied[which]) worker.copied[which]->record(*worker.stream);
  }
}

}  // namespace cmc::model
