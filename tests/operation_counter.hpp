#pragma once
// Counts what LibTorch is asked to do on this thread while a counter lives: the invariants of a step on a GPU, held
// without one.
#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace cmc::testing_tools {

struct OperationCounts {
  // Operations that launch a kernel: none of whose parts launches one; views and allocations are none. An operation of
  // our own ("cmc::…") is one, whatever it is made of where its kernel is missing.
  int64_t launches = 0;
  int64_t copies = 0;                             // between host and device
  int64_t waits = 0;                              // that read a number back or make a shape of one
  std::map<std::string, int64_t> by_name;         // launches
  std::map<std::string, int64_t> copies_by_name;  // "cmc::upload": to a device, "cmc::download": back
};

class OperationCounter {
 public:
  OperationCounter() {
    current() = this;
    handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(start, end).needsInputs(true));
  }
  ~OperationCounter() {
    at::removeCallback(handle_);
    current() = nullptr;
  }
  OperationCounter(const OperationCounter&) = delete;
  OperationCounter& operator=(const OperationCounter&) = delete;

  const OperationCounts& counts() const { return counts_; }

 private:
  struct Frame {
    bool own;           // part of an operation of our own
    bool copy = false;  // part of what is counted as a copy
    int64_t launches = 0;
  };

  static OperationCounter*& current() {
    thread_local OperationCounter* counter = nullptr;
    return counter;
  }

  static bool launches_nothing(const std::string& name) {
    static const std::set<std::string> names = {
        "view",         "t",           "transpose",  "narrow",        "slice",     "select",        "unsqueeze",
        "squeeze",      "expand",      "permute",    "as_strided",    "chunk",     "split",         "split_with_sizes",
        "detach",       "detach_",     "alias",      "unflatten",     "flatten",   "reshape",       "_reshape_alias",
        "_unsafe_view", "empty",       "empty_like", "empty_strided", "new_empty", "resize_",       "to",
        "lift_fresh",   "result_type", "contiguous", "set_",          "numel",     "resolve_conj",  "resolve_neg",
        "size",         "stride",      "unbind",     "expand_as",     "view_as",   "requires_grad_"};
    return !name.starts_with("aten::") || names.contains(name.substr(6));
  }

  static bool waits_for_device(const std::string& name, const at::RecordFunction& function) {
    static const std::set<std::string> names = {
        "aten::item",       "aten::_local_scalar_dense", "aten::nonzero", "aten::equal",
        "aten::is_nonzero", "aten::masked_select",       "aten::unique",  "aten::_unique2",
        "aten::cpu"};
    if (names.contains(name)) return true;
    const auto devices = copied(name, function);
    return devices.size() == 2 && devices[0].is_cpu() && !devices[1].is_cpu();
  }

  // Of a copy: target and source.
  static std::vector<torch::Device> copied(const std::string& name, const at::RecordFunction& function) {
    std::vector<torch::Device> devices;
    if (name != "aten::copy_") return devices;
    for (const c10::IValue& input : function.inputs()) {
      if (input.isTensor() && devices.size() < 2) devices.push_back(input.toTensor().device());
    }
    return devices;
  }

  static bool asks_for_a_copy(const std::string& name, const at::RecordFunction& function) {
    if (name == "cmc::upload" || name == "cmc::download") return true;
    bool on_cpu = false, to_cpu = false;
    for (const c10::IValue& input : function.inputs()) {
      on_cpu = on_cpu || (input.isTensor() && input.toTensor().defined() && input.toTensor().is_cpu());
      to_cpu = to_cpu || (input.isDevice() && input.toDevice().is_cpu());
    }
    return name == "aten::to" && on_cpu && to_cpu;
  }

  static std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& function) {
    const std::string name = function.name();
    OperationCounter& counter = *current();
    const Frame outer = counter.frames_.empty() ? Frame{false} : counter.frames_.back();
    counter.frames_.push_back({outer.own || name.starts_with("cmc::"), outer.copy});
    counter.counts_.waits += waits_for_device(name, function) ? 1 : 0;
    const auto devices = copied(name, function);
    const bool between = devices.size() == 2 && devices[0].type() != devices[1].type();
    if (!outer.copy && (between || asks_for_a_copy(name, function))) {
      ++counter.counts_.copies;
      ++counter.counts_.copies_by_name[name];
      counter.frames_.back().copy = true;
    }
    return nullptr;
  }

  static void end(const at::RecordFunction& function, at::ObserverContext*) {
    const std::string name = function.name();
    OperationCounter& counter = *current();
    const Frame frame = counter.frames_.back();
    counter.frames_.pop_back();
    const bool inside = !counter.frames_.empty() && counter.frames_.back().own;
    if (inside || frame.copy) return;
    int64_t launches = frame.launches;
    if (name.starts_with("cmc::") || (launches == 0 && !launches_nothing(name))) {
      launches = 1;
      ++counter.counts_.by_name[name];
    }
    if (counter.frames_.empty())
      counter.counts_.launches += launches;
    else
      counter.frames_.back().launches += launches;
  }

  at::CallbackHandle handle_ = 0;
  std::vector<Frame> frames_;
  OperationCounts counts_;
};

// Bytes of tensors on the CPU that live beyond those at its making, on this thread.
class LiveMemory {
 public:
  LiveMemory() : report_(std::make_shared<Report>()), guard_(c10::DebugInfoKind::PROFILER_STATE, report_) {}
  int64_t bytes() const { return report_->bytes; }

 private:
  struct Report : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override { bytes += size; }
    bool memoryProfilingEnabled() const override { return true; }
    int64_t bytes = 0;
  };
  std::shared_ptr<Report> report_;
  c10::DebugInfoGuard guard_;
};

}  // namespace cmc::testing_tools
