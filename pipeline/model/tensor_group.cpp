#include "pipeline/model/tensor_group.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/model/kept_for_backward.hpp"

namespace cmc::model {

namespace {

// Between two sums a rank computes for less than this; sleeping would cost more than the wait.
constexpr std::chrono::milliseconds between_sums{20};

std::span<const std::byte> bytes_of(const torch::Tensor& contiguous) {
  return {static_cast<const std::byte*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

// Sums that autograd follows. `summed` adds up over the ranks.
using Summed = std::function<torch::Tensor(const torch::Tensor&)>;

class SumOfParts : public torch::autograd::Function<SumOfParts> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext*, const torch::Tensor& partial, const Summed& summed) {
    return summed(partial);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list upstream) {
    return {upstream.front(), torch::Tensor()};
  }
};

class FanOut : public torch::autograd::Function<FanOut> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const Summed& summed) {
    keep_for_backward(context, summed);
    return x.view_as(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    return {kept_for_backward<Summed>(context)(upstream.front().contiguous()), torch::Tensor()};
  }
};

}  // namespace

bool each_has_its_own(const distributed::Communicator& ranks, const std::string& identity) {
  const std::vector<std::string> all = ranks.all_gather(identity);
  return std::set<std::string>(all.begin(), all.end()).size() == all.size();
}

struct TensorGroup::Blocks {
  TensorGroup own;
  LayerPipeline pipeline;
};

namespace {

distributed::Communicator ranks_of_block(const distributed::Communicator& ranks, TensorRank rank) {
  const int size = rank.in_block().size;
  std::vector<int> members(static_cast<size_t>(size));
  std::iota(members.begin(), members.end(), rank.block().index * size);
  return ranks.group(members, rank.block().index);
}

}  // namespace

TensorGroup::TensorGroup(const distributed::Communicator& ranks, torch::Device device, int blocks)
    : tensor_rank_{ranks.rank(), ranks.size(), blocks}, ranks_(ranks.awake(between_sums)) {
  if (blocks > 1)
    blocks_ = std::make_shared<const Blocks>(
        Blocks{TensorGroup(ranks_of_block(ranks, tensor_rank_), device), LayerPipeline(ranks_, tensor_rank_)});
  if (!device.is_cuda() || tensor_rank_.size == 1) return;
  if (each_has_its_own(ranks_, device_identity(device))) {
    device_sum_ = make_device_sum(ranks_, device);
  } else if (tensor_rank_.index == 0) {
    log_warning("ranks of a split model share a device: their sums go through the host, slowly");
  }
}

TensorGroup TensorGroup::block() const {
  return blocks_ ? blocks_->own : *this;
}

const LayerPipeline& TensorGroup::pipeline() const {
  static const LayerPipeline none;
  return blocks_ ? blocks_->pipeline : none;
}

torch::Tensor TensorGroup::sum(const torch::Tensor& partial) const {
  if (tensor_rank_.size == 1) return partial;
  if (!is_followed(partial)) return summed(partial);
  return SumOfParts::apply(partial, [group = *this](const torch::Tensor& part) { return group.summed(part); });
}

torch::Tensor TensorGroup::fan_out(const torch::Tensor& x) const {
  if (tensor_rank_.size == 1 || !is_followed(x)) return x;
  return FanOut::apply(x, [group = *this](const torch::Tensor& part) { return group.summed(part); });
}

torch::Tensor TensorGroup::summed(const torch::Tensor& partial) const {
  if (device_sum_) {
    torch::Tensor total = partial.clone(torch::MemoryFormat::Contiguous);
    device_sum_(total);
    return total;
  }
  torch::Tensor total = partial.to(torch::kCPU, torch::kFloat32, /*non_blocking=*/false, /*copy=*/true).contiguous();
  ranks_.sum({total.data_ptr<float>(), static_cast<size_t>(total.numel())});
  return total.to(partial.options());
}

torch::Tensor TensorGroup::gather_columns(const torch::Tensor& part, int64_t columns) const {
  if (tensor_rank_.size == 1) return part;
  const int64_t rows = part.size(0);
  if (device_sum_) {  // the other shares are zeros: shares need not be of one size, as NCCL's gathering asks
    torch::Tensor result = torch::zeros({rows, columns}, part.options());
    const Range own = share_of(columns, tensor_rank_);
    result.narrow(1, own.first, own.count).copy_(part);
    device_sum_(result);
    return result;
  }
  const torch::Tensor own = part.to(torch::kCPU).contiguous();
  torch::Tensor result = torch::empty({rows, columns}, own.options());
  std::vector<distributed::Bytes> parts = ranks_.exchange(bytes_of(own));
  for (int rank = 0; rank < tensor_rank_.size; ++rank) {
    const Range share = share_of(columns, {rank, tensor_rank_.size});
    torch::Tensor to = result.narrow(1, share.first, share.count);
    distributed::Bytes& bytes = parts[static_cast<size_t>(rank)];
    expect(bytes.size() == to.nbytes(), "the ranks of a split model gather parts of the same rows");
    to.copy_(torch::from_blob(bytes.data(), {rows, share.count}, own.options()));
  }
  return result.to(part.device());
}

int64_t TensorGroup::smallest(int64_t mine) const {
  if (tensor_rank_.size == 1) return mine;
  int64_t least = mine;
  for (const distributed::Bytes& theirs : ranks_.exchange(std::as_bytes(std::span(&mine, 1)))) {
    int64_t number = 0;
    expect(theirs.size() == sizeof number, "the ranks of a split model agree on one number");
    std::memcpy(&number, theirs.data(), sizeof number);
    least = std::min(least, number);
  }
  return least;
}

void TensorGroup::expect_same(std::span<const int32_t> plan) const {
  if (tensor_rank_.size == 1) return;
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a over the numbers
  for (const int32_t number : plan) hash = (hash ^ static_cast<uint32_t>(number)) * 0x100000001b3u;
  const auto own = std::as_bytes(std::span(&hash, 1));
  for (const distributed::Bytes& other : ranks_.exchange(own)) {
    expect(std::ranges::equal(other, own), "the ranks of a split model read the same tokens");
  }
}

}  // namespace cmc::model
