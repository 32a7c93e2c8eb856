#pragma once
#include <optional>
#include <string_view>

#include "pipeline/checkpoint/stored_tensor.hpp"

namespace cmc::checkpoint {

// What a pickle may name: containers, and how torch.save writes tensors down. None of it is run.
enum class GlobalRole {
  ordered_dict,
  size,             // torch.Size, a tuple
  tensor,           // torch._utils._rebuild_tensor(storage, offset, size, stride)
  tensor_v2,        // … requires_grad, hooks, metadata
  tensor_v3,        // … requires_grad, hooks, dtype, metadata
  parameter,        // torch._utils._rebuild_parameter(tensor, requires_grad, hooks)
  storage_type,     // torch.FloatStorage …
  untyped_storage,  // bytes, whose type the tensor says
  dtype             // torch.float32 …
};

struct TorchGlobal {
  GlobalRole role = GlobalRole::ordered_dict;
  StoredType type = StoredType::u8;  // of storage_type, untyped_storage and dtype
};

// Nothing for any other name. Throws BadData naming `where` for a torch type of numbers that we do not read.
std::optional<TorchGlobal> find_torch_global(std::string_view module, std::string_view name, const std::string& where);

}  // namespace cmc::checkpoint
