#pragma once
#include <torch/types.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "pipeline/model/tensor_split.hpp"

namespace c10 {
struct Event;
}

namespace cmc::model {

// Brings stored tensors to a device: several threads read them (from files that are mapped, so that each reads another
// part of a disk), convert them into small pinned buffers and copy these on streams of their own. The host never holds
// a second copy of the weights.
class WeightUpload {
 public:
  // `buffer_bytes`: of each of a thread's two buffers.
  WeightUpload(torch::Device device, int threads, int64_t buffer_bytes);
  ~WeightUpload();
  WeightUpload(const WeightUpload&) = delete;
  WeightUpload& operator=(const WeightUpload&) = delete;

  // target [rows, columns] on the device = these rows and columns of a stored matrix; both are kept alive. Rows longer
  // than a buffer are copied at once by the caller.
  void add(const torch::Tensor& stored, const Slices& rows, const Slices& columns, const torch::Tensor& target);
  // Waits until all is there. Throws what a thread threw.
  void finish();

 private:
  // A block of rows of both.
  struct Job {
    torch::Tensor stored, target;           // [rows, columns]
    std::shared_ptr<c10::Event> allocated;  // what was computed in the target's memory before; null on a CPU
  };
  struct Worker;  // one thread's buffers and stream
  void work();
  void copy(const Job& job, Worker& worker) const;

  torch::Device device_;
  int64_t buffer_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool closed_ = false;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace cmc::model
