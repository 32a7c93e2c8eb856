#pragma once
#include <torch/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "pipeline/distributed/communicator.hpp"
#include "pipeline/model/layer_pipeline.hpp"
#include "pipeline/model/tensor_split.hpp"

namespace cmc::model {

// Sums a contiguous CUDA tensor over the ranks of a group, in place; each rank has a device of its own.
using DeviceSum = std::function<void(torch::Tensor&)>;
// Over NCCL where LibTorch has it; throws Refused elsewhere. Collective.
DeviceSum make_device_sum(const distributed::Communicator& ranks, torch::Device device);

// Tells the CUDA devices of a cluster apart; throws as make_device_sum() does.
std::string device_identity(torch::Device device);
// Whether no two ranks gave the same identity: NCCL refuses those that share a device. Collective.
bool each_has_its_own(const distributed::Communicator& ranks, const std::string& identity);

// The ranks that run one split model together: each calls the same operations in the same order. The default one is a
// single rank, for which all are the identity. A value; copies use the same communicator.
class TensorGroup {
 public:
  TensorGroup() = default;
  // Collective over `ranks`, which lie in so many blocks of equal size, one after the other.
  TensorGroup(const distributed::Communicator& ranks, torch::Device device, int blocks = 1);

  TensorRank tensor_rank() const { return tensor_rank_; }
  // The ranks of this one's block, which hold parts of the same layers; where there is one block, this group.
  TensorGroup block() const;
  const LayerPipeline& pipeline() const;  // through the blocks
  bool is_split() const { return tensor_rank_.size > 1; }
  // The ranks, to agree on the host.
  const distributed::Communicator& ranks() const { return ranks_; }

  // The sum of every rank's tensor; the same bits on every rank, so that all decide alike. What is computed from it is
  // computed by all alike: its gradient is each summand's.
  torch::Tensor sum(const torch::Tensor& partial) const;
  // `x`, the same on every rank, of which each computes a part of its own from here on (Megatron-LM's f; sum() is its
  // g): its gradient is the sum of every rank's.
  torch::Tensor fan_out(const torch::Tensor& x) const;
  // Every rank's share_of(columns) side by side: [N, share] → [N, columns]. No gradient.
  torch::Tensor gather_columns(const torch::Tensor& part, int64_t columns) const;
  // The smallest of every rank's numbers: for what they must do alike and would choose by their own memory.
  int64_t smallest(int64_t mine) const;
  // Throws Internal when the ranks plan different passes: what they compute would belong to nobody's text. Compares a
  // hash, on the host.
  void expect_same(std::span<const int32_t> plan) const;
  // Whether sums wait for nothing but the device.
  bool stays_on_device() const { return tensor_rank_.size == 1 || (!blocks_ && device_sum_ != nullptr); }

 private:
  struct Blocks;
  torch::Tensor summed(const torch::Tensor& partial) const;
  TensorRank tensor_rank_;
  distributed::Communicator ranks_;
  std::shared_ptr<const Blocks> blocks_;  // null: one
  DeviceSum device_sum_;                  // empty on a CPU and where ranks share a device: sums go through the host
};

}  // namespace cmc::model
