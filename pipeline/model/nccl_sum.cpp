// Sums of a split model on CUDA, over the NCCL that LibTorch brings; refused where it brings none.
#include "pipeline/core/error.hpp"
#include "pipeline/model/tensor_group.hpp"

#if defined(USE_C10D_NCCL)
#include <ATen/cuda/CUDAContext.h>
#include <torch/csrc/cuda/nccl.h>
#endif

namespace cmc::model {

#if defined(USE_C10D_NCCL)

std::string device_identity(torch::Device device) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(device.index());
  return {properties->uuid.bytes, sizeof properties->uuid.bytes};  // of a MIG slice its own
}

DeviceSum make_device_sum(const distributed::Communicator& ranks, torch::Device device) {
  namespace nccl = torch::cuda::nccl;
  nccl::ncclUniqueId id{};
  if (ranks.rank() == 0) nccl::get_unique_id(id);
  ranks.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0);
  const c10::DeviceGuard guard(device);
  const std::shared_ptr<void> comm(nccl::comm_init_rank(ranks.size(), id, ranks.rank()), nccl::comm_destroy);
  return [comm, device](torch::Tensor& partial) {  // on the device's current stream: nothing else to wait for
    const c10::DeviceGuard here(device);
    std::vector<torch::Tensor> tensors = {partial};
    nccl::all_reduce(tensors, tensors, static_cast<int>(nccl::ncclRedOp::Sum), {}, {comm.get()});
  };
}

#else

namespace {

[[noreturn]] void refuse() {
  throw Refused({"tensor_parallel on CUDA", "needs a LibTorch that was built with NCCL",
                 "use such a LibTorch, or compute.device = cpu"});
}

}  // namespace

std::string device_identity(torch::Device) {
  refuse();
}

DeviceSum make_device_sum(const distributed::Communicator&, torch::Device) {
  refuse();
}

#endif

}  // namespace cmc::model
