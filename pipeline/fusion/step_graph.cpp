#include "pipeline/fusion/step_graph.hpp"

#include <utility>

#include "pipeline/core/log.hpp"

#if defined(CMC_CUDA)
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#endif

namespace cmc::fusion {

#if defined(CMC_CUDA)

struct StepGraph::Captured {
  at::cuda::CUDAGraph graph;

  // Throws c10::Error where something in `work` cannot be captured.
  void capture(const std::function<void()>& work) {
    const auto outside = at::cuda::getCurrentCUDAStream();
    const c10::cuda::CUDAStreamGuard inside(
        at::cuda::getStreamFromPool(/*isHighPriority=*/false, outside.device_index()));
    at::cuda::CUDAEvent before;
    before.record(outside);
    before.block(inside.current_stream());
    graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph.capture_end();
      } catch (const c10::Error&) {  // says that the capture was broken off
      }
      throw;
    }
    graph.capture_end();
  }

  void replay() { graph.replay(); }
};

#else

struct StepGraph::Captured {
  void capture(const std::function<void()>&) {
    throw c10::Error({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, "this build holds no CUDA graphs");
  }
  void replay() {}
};

#endif

StepGraph::StepGraph(torch::Device device, std::function<void()> work) : device_(device), work_(std::move(work)) {}
StepGraph::StepGraph(StepGraph&&) noexcept = default;
StepGraph::~StepGraph() = default;

void StepGraph::run() {
  if (state_ == State::warm && device_.is_cuda()) {
    captured_ = std::make_unique<Captured>();
    try {
      captured_->capture(work_);
      state_ = State::captured;
    } catch (const c10::Error& error) {
      captured_.reset();
      state_ = State::refused;
      static bool told = false;
      if (!std::exchange(told, true))
        log_warning("decoding steps are launched operation by operation: ", error.what_without_backtrace());
    }
  }
  if (state_ == State::captured) return captured_->replay();
  work_();
  if (state_ == State::fresh) state_ = State::warm;
}

}  // namespace cmc::fusion
