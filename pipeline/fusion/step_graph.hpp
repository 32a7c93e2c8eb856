#pragma once
#include <torch/types.h>

#include <functional>
#include <memory>

namespace cmc::fusion {

// Device work that is done again and again on the same tensors with other contents. On CUDA it is captured once, after
// a first run that makes its libraries ready, and from then on launched as a whole; where it cannot be captured, it
// goes on being launched operation by operation, after one warning. On a CPU it is called each time: whoever bakes a
// decision of the first run into it gets wrong results there as well.
class StepGraph {
 public:
  // `work` launches on the device's current stream and reads nothing back. What its results are written to must
  // outlive the graph.
  StepGraph(torch::Device device, std::function<void()> work);
  StepGraph(StepGraph&&) noexcept;
  ~StepGraph();

  void run();

 private:
  struct Captured;
  torch::Device device_;
  std::function<void()> work_;
  std::unique_ptr<Captured> captured_;
  enum class State { fresh, warm, captured, refused } state_ = State::fresh;
};

}  // namespace cmc::fusion
