#pragma once
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <torch/types.h>

#include <optional>
#include <utility>

namespace cmc::fusion {

// A stream of a device beside its current one. On a CPU there is none: everything
// runs in the order it is called.
class SideStream {
 public:
  explicit SideStream(torch::Device device);

  // What runs here from now on comes after all that the current stream has been given so far.
  void fork();
  // Launches work here; its results belong to the current stream only after join().
  template <class Work>
  auto run(Work&& work) {
    c10::OptionalStreamGuard here;
    if (stream_) here.reset_stream(*stream_);
    return std::forward<Work>(work)();
  }
  // What the current stream is given from now on comes after all that runs here.
  void join();

 private:
  c10::Stream current() const;

  torch::Device device_;
  std::optional<c10::Stream> stream_;
  std::optional<c10::Event> forked_, done_;
};

}  // namespace cmc::fusion
