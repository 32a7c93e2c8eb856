#pragma once
#include <torch/types.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "pipeline/model/tensor_split.hpp"

namespace c10 {
struct Event;
}

namespace cmc::model {

// Brings stored tensors to a device: several threads read them (from files that are mapped, so that each reads another
// part of a disk) and ask for what comes next. For CUDA they convert into small pinned buffers and copy these on
// streams of their own, for a CPU right into the target. The host never holds a second copy of the weights.
class WeightUpload {
 public:
  // `buffer_bytes`: of each of a thread's two buffers, and of what it copies at once.
  WeightUpload(torch::Device device, int threads, int64_t buffer_bytes);
  ~WeightUpload();
  WeightUpload(const WeightUpload&) = delete;
  WeightUpload& operator=(const WeightUpload&) = delete;

  // target [rows, columns] on the device = these rows and columns of a stored matrix; both are kept alive. Rows longer
  // than a buffer are copied at once by the caller.
  void add(const torch::Tensor& stored, const Slices& rows, const Slices& columns, const torch::Tensor& target);
  // Waits until all is there, and meanwhile tells every few seconds how much is. Throws what a thread threw.
  using Report = std::function<void(int64_t bytes, int64_t all, double seconds)>;  // since the first was added
  void finish(const Report& report = {});

 private:
  // Rows of both that fit a buffer.
  struct Job {
    torch::Tensor stored, target;           // [rows, columns]
    std::shared_ptr<c10::Event> allocated;  // what was computed in the target's memory before; null on a CPU
    int64_t bytes() const { return static_cast<int64_t>(stored.nbytes()); }
  };
  struct Worker;  // one thread's buffers and stream
  void add_rows(const Job& all);
  void work();
  std::optional<Job> next();
  void give_up();
  void copy(const Job& job, Worker& worker) const;

  torch::Device device_;
  int64_t buffer_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_, ended_;
  std::deque<Job> jobs_;
  int64_t added_ = 0, done_ = 0;  // bytes as stored
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool closed_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace cmc::model
