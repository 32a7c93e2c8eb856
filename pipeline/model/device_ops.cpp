#include "pipeline/model/device_ops.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "pipeline/core/error.hpp"
#include "pipeline/kernels/add_norm.hpp"
#include "pipeline/kernels/attend_cache.hpp"
#include "pipeline/kernels/embed.hpp"
#include "pipeline/kernels/gate.hpp"
#include "pipeline/kernels/rope_cache.hpp"

namespace cmc::model::device {

kernels::Queue queue_of(const torch::Tensor& x) {
  if (x.is_cpu()) return kernels::Queue::host();
  const c10::impl::VirtualGuardImpl guard(x.device().type());
  return {kernels::Queue::On::device, guard.getStreamNativeHandle(guard.getStream(x.device()))};
}

namespace {

kernels::Type type_of(const torch::Tensor& x) {
  expect(x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16, "a type that kernels take");
  return x.scalar_type() == torch::kFloat32 ? kernels::Type::float32 : kernels::Type::bfloat16;
}

// The data of a contiguous tensor of the same type, null where it is undefined.
const void* data(const torch::Tensor& x, kernels::Type type) {
  if (!x.defined()) return nullptr;
  expect(x.is_contiguous() && type_of(x) == type, "kernels read contiguous tensors of one type");
  return x.const_data_ptr();
}

const int32_t* numbers(const torch::Tensor& column) {
  return column.const_data_ptr<int32_t>();
}

kernels::NormOf norm_of(const Norm& norm, kernels::Type type) {
  if (!norm) return {};
  return {.is_there = true,
          .weight = data(norm.weight, type),
          .bias = data(norm.bias, type),
          .epsilon = static_cast<float>(norm.kind.epsilon),
          .centred = norm.kind.centred,
          .adds_one = norm.kind.adds_one,
          .rounds_last = norm.kind.rounds_last || norm.kind.centred};
}

// Numbers from one head's weights to the next's.
int64_t stride_of(const Norm& norm) {
  return norm.weight.defined() && norm.weight.dim() > 1 ? norm.weight.size(1) : 0;
}

// What both ways of splitting joined projections share; the caller says where heads go.
kernels::RopeCache split_of(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                            const Rotation& turn, const DevicePlan& plan) {
  const kernels::Type type = type_of(joined);
  const torch::Tensor& packed = turn.packed(torch::kFloat32);
  return {.type = type,
          .joined = data(joined, type),
          .count = joined.size(0),
          .heads = config.heads,
          .kv_heads = config.kv_heads,
          .dim = config.head_dim,
          .cosine = packed.const_data_ptr<float>(),
          .sine = packed.const_data_ptr<float>() + packed.stride(0),
          .query_norm = norm_of(norms.query, type),
          .key_norm = norm_of(norms.key, type),
          .norm_stride = stride_of(norms.query),
          .slots = numbers(plan.slots),
          .places = numbers(plan.places)};
}

}  // namespace

bool takes(const torch::Tensor& x) {
  return x.is_cuda() && kernels::compiled() &&
         (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16);
}

torch::Tensor add_norm(torch::Tensor& x, const Branch& branch, const Norm& norm) {
  const kernels::Type type = type_of(x);
  x = x.contiguous();
  const torch::Tensor added = branch.values.defined() ? branch.values.contiguous() : branch.values;
  torch::Tensor out = norm ? torch::empty_like(x) : x;
  kernels::add_norm({.type = type,
                     .residual = x.data_ptr(),
                     .branch = data(added, type),
                     .branch_norm = added.defined() ? norm_of(branch.norm, type) : kernels::NormOf{},
                     .branch_scale = static_cast<float>(branch.scale),
                     .norm = norm_of(norm, type),
                     .out = norm ? out.data_ptr() : nullptr,
                     .rows = x.numel() / x.size(-1),
                     .width = x.size(-1)},
                    queue_of(x));
  return out;
}

torch::Tensor gate(checkpoint::Activation activation, Gating gating, const torch::Tensor& joined) {
  const torch::Tensor input = joined.contiguous();
  const bool gated = gating == Gating::gated;
  torch::Tensor out = torch::empty({input.size(0), gated ? input.size(1) / 2 : input.size(1)}, input.options());
  kernels::gate({.type = type_of(input),
                 .activation = activation_of(activation),
                 .gated = gated,
                 .joined = input.const_data_ptr(),
                 .rows = out.size(0),
                 .width = out.size(1),
                 .out = out.data_ptr()},
                queue_of(input));
  return out;
}

// The packed keys are a cache of one slot.
Heads rotated_heads(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                    const Rotation& turn, const DevicePlan& plan) {
  const torch::Tensor input = joined.contiguous();
  const auto empty = [&](int64_t heads) {
    return torch::empty({input.size(0), heads, config.head_dim}, input.options());
  };
  const Heads heads{empty(config.heads), empty(config.kv_heads), empty(config.kv_heads)};
  kernels::RopeCache arguments = split_of(input, config, norms, turn, plan);
  arguments.capacity = input.size(0);
  arguments.query = heads.query.data_ptr();
  arguments.keys = heads.key.data_ptr();
  arguments.values = heads.value.data_ptr();
  kernels::rope_cache(arguments, queue_of(input));
  return heads;
}

torch::Tensor rope_cache(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                         const Rotation& turn, const DevicePlan& plan, const CacheLayer& layer) {
  const torch::Tensor input = joined.contiguous();
  torch::Tensor query = torch::empty({input.size(0), config.heads, config.head_dim}, input.options());
  kernels::RopeCache arguments = split_of(input, config, norms, turn, plan);
  arguments.capacity = layer.capacity;
  arguments.query = query.data_ptr();
  arguments.keys = layer.keys.data_ptr();
  arguments.values = layer.values.data_ptr();
  kernels::rope_cache(arguments, queue_of(input));
  return query;
}

torch::Tensor attend_cache(const torch::Tensor& query, const checkpoint::ModelConfig& config, const DevicePlan& plan,
                           const CacheLayer& layer, int64_t window, const ScoreTerms& terms, torch::Tensor& workspace) {
  const kernels::Type type = type_of(query);
  const torch::Tensor sinks = terms.sinks.defined() ? terms.sinks.to(torch::kFloat32) : torch::Tensor();
  const torch::Tensor input = query.contiguous();
  const int64_t count = input.size(0), heads = config.heads, kv_heads = config.kv_heads, dim = config.head_dim;
  if (!workspace.defined()) {
    workspace = torch::zeros({kernels::attend_workspace(dim)}, input.options().dtype(torch::kUInt8));
  }
  torch::Tensor out = torch::empty({count, heads * dim}, input.options());
  kernels::attend_cache({.type = type,
                         .query = input.const_data_ptr(),
                         .keys = data(layer.keys, type),
                         .values = data(layer.values, type),
                         .count = count,
                         .heads = heads,
                         .kv_heads = kv_heads,
                         .dim = dim,
                         .slots = numbers(plan.slots),
                         .places = numbers(plan.places),
                         .capacity = layer.capacity,
                         .window = window,
                         .scale = static_cast<float>(terms.scale),
                         .softcap = static_cast<float>(config.attention_softcap),
                         .bias = terms.bias.defined() ? terms.bias.const_data_ptr<float>() : nullptr,
                         .bias_stride = terms.bias.defined() ? terms.bias.stride(0) : 0,
                         .sinks = sinks.defined() ? sinks.const_data_ptr<float>() : nullptr,
                         .workspace = workspace.data_ptr(),
                         .out = out.data_ptr()},
                        queue_of(input));
  return out;
}

torch::Tensor embed(const torch::Tensor& table, int64_t first, double scale, const DevicePlan& plan) {
  const kernels::Type type = type_of(table);
  torch::Tensor out = torch::empty({plan.shape.tokens, table.size(1)}, table.options().requires_grad(false));
  kernels::embed({.type = type,
                  .table = data(table, type),
                  .rows = table.size(0),
                  .width = table.size(1),
                  .first = first,
                  .scale = static_cast<float>(scale),
                  .tokens = numbers(plan.tokens),
                  .chosen = plan.chosen.defined() ? numbers(plan.chosen) : nullptr,
                  .slots = plan.chosen.defined() ? numbers(plan.slots) : nullptr,
                  .count = plan.shape.tokens,
                  .out = out.data_ptr()},
                 queue_of(table));
  return out;
}

}  // namespace cmc::model::device
