#include "pipeline/model/embed.hpp"

#include <ATen/record_function.h>

#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

namespace {

// The number that a tensor of this type would hold.
double rounded(double value, torch::Dtype dtype) {
  const auto narrow = static_cast<float>(value);
  if (dtype == torch::kBFloat16) return static_cast<float>(c10::BFloat16(narrow));
  if (dtype == torch::kFloat16) return static_cast<float>(c10::Half(narrow));
  return narrow;
}

torch::Tensor ids_of(const DevicePlan& plan) {
  if (!plan.shape.feeds_back) return plan.tokens;
  return torch::where(plan.tokens < 0, plan.chosen.index_select(0, plan.slots), plan.tokens);
}

}  // namespace

torch::Tensor embed(const Embedding& embedding, const DevicePlan& plan) {
  RECORD_FUNCTION("cmc::embed", c10::ArrayRef<const c10::IValue>{});
  const torch::Tensor& table = embedding.table;
  if (path_of(table) == OpPath::device_kernels) return device::embed(table, embedding.own.first, embedding.scale, plan);
  const torch::Tensor ids = ids_of(plan);
  torch::Tensor x;
  if (embedding.whole) {
    x = torch::embedding(table, ids, embedding.padding_token);
  } else {
    const torch::Tensor rows = ids - embedding.own.first, foreign = (rows < 0).logical_or(rows >= embedding.own.count);
    x = torch::embedding(table, rows.clamp(0, embedding.own.count - 1)).masked_fill(foreign.unsqueeze(1), 0.0);
  }
  return embedding.scale == 1.0 ? x : x * rounded(embedding.scale, table.scalar_type());
}

}  // namespace cmc::model
