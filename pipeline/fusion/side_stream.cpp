#include "pipeline/fusion/side_stream.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace cmc::fusion {

SideStream::SideStream(torch::Device device) : device_(device) {
  if (!device_.is_cuda()) return;
  stream_ = c10::impl::VirtualGuardImpl(device_.type()).getNewStream(device_);
  forked_.emplace(device_.type());
  done_.emplace(device_.type());
}

void SideStream::fork() {
  if (!stream_) return;
  forked_->record(current());
  forked_->block(*stream_);
}

void SideStream::join() {
  if (!stream_) return;
  done_->record(*stream_);
  done_->block(current());
}

c10::Stream SideStream::current() const {
  return c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
}

}  // namespace cmc::fusion
