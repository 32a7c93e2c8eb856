#include "pipeline/model/rotated_heads.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <cstring>

#include "pipeline/core/error.hpp"
#include "pipeline/cpu/row_kernels.hpp"
#include "pipeline/model/device_ops.hpp"
#include "pipeline/model/heads_gradient.hpp"
#include "pipeline/model/norm.hpp"
#include "pipeline/model/norm_gradient.hpp"
#include "pipeline/model/op_path.hpp"

namespace cmc::model {

namespace {

torch::Tensor rotate(const torch::Tensor& heads, const Rotation& turn) {
  const torch::Tensor& packed = turn.packed(heads.scalar_type());
  const torch::Tensor cosine = packed.select(0, 0).unsqueeze(1), sine = packed.select(0, 1).unsqueeze(1);
  const auto halves = heads.chunk(2, -1);
  return torch::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1);
}

// Views of the joined projections.
Heads split(const torch::Tensor& joined, const checkpoint::ModelConfig& config) {
  const int64_t rows = joined.size(0), dim = config.head_dim;
  const int64_t queries = config.heads * dim, keys = config.kv_heads * dim;
  expect(joined.size(1) == queries + 2 * keys, "joined projections hold query, key and value heads");
  const auto part = [&](int64_t first, int64_t heads) {
    return joined.narrow(1, first, heads * dim).view({rows, heads, dim});
  };
  return {part(0, config.heads), part(queries, config.kv_heads), part(queries + keys, config.kv_heads), joined};
}

Heads split_and_turn(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                     const Rotation& turn) {
  Heads heads = split(joined, config);
  if (norms.query) heads.query = norms.query(heads.query);
  if (norms.key) heads.key = norms.key(heads.key);
  return {rotate(heads.query, turn), rotate(heads.key, turn), heads.value};
}

// The norm of one head where it stands.
class HeadNormRows {
 public:
  HeadNormRows(const Norm& norm, int64_t dim)
      : is_there_(norm), row_(row_norm_of(norm)), dim_(dim), own_(norm.weight.defined() && norm.weight.dim() > 1) {}
  void operator()(float* values, int64_t head) const {
    if (!is_there_) return;
    cpu::RowNorm norm = row_;
    if (own_) {
      norm.weight += head * dim_;
      if (norm.bias != nullptr) norm.bias += head * dim_;
    }
    cpu::norm_row(values, norm, dim_, values);
  }

 private:
  bool is_there_;
  cpu::RowNorm row_;
  int64_t dim_;
  bool own_;
};

// Norms and turns the query and key heads of each row where they stand, then hands the row's keys and values on.
template <typename Write>
void turn_rows(torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms, const Rotation& turn,
               const Write& write) {
  const int64_t rows = joined.size(0), width = joined.size(1), dim = config.head_dim, half = dim / 2;
  const int64_t turned = (config.heads + config.kv_heads) * dim;
  const float* cosines = turn.table().const_data_ptr<float>();
  const float* sines = cosines + turn.table().size(1) * half;
  const int32_t* table_rows = turn.rows().const_data_ptr<int32_t>();
  float* values = joined.data_ptr<float>();
  const HeadNormRows query_norm(norms.query, dim), key_norm(norms.key, dim);
  at::parallel_for(0, rows, std::max<int64_t>(1, 32768 / width), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      float* all = values + row * width;
      const int64_t at = table_rows[row] * half;
      for (int64_t place = 0; place < turned; place += dim) {
        if (place < config.heads * dim)
          query_norm(all + place, place / dim);
        else
          key_norm(all + place, place / dim - config.heads);
        cpu::rotate_head(all + place, cosines + at, sines + at, half);
      }
      write(row, all + config.heads * dim, all + turned);
    }
  });
}

// The same in a copy, as autograd follows it.
torch::Tensor followed_rows(const torch::Tensor& joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                            const Rotation& turn) {
  torch::Tensor turned;
  {
    const torch::NoGradGuard own_gradient;
    turned = joined.detach().clone(at::MemoryFormat::Contiguous);
    turn_rows(turned, config, norms, turn, [](int64_t, const float*, const float*) {});
  }
  return followed_turn(joined, turned, config, norms, turn);
}

}  // namespace

Heads rotated_heads(torch::Tensor joined, const checkpoint::ModelConfig& config, HeadNorms norms, const Rotation& turn,
                    const DevicePlan& plan) {
  RECORD_FUNCTION("cmc::rotated_heads", c10::ArrayRef<const c10::IValue>{});
  switch (path_of(joined)) {
    case OpPath::cpu_kernels:
      joined = joined.contiguous();
      turn_rows(joined, config, norms, turn, [](int64_t, const float*, const float*) {});
      return split(joined, config);
    case OpPath::device_kernels:
      return device::rotated_heads(joined, config, norms, turn, plan);
    case OpPath::cpu_gradients:
      if ((norms.query && !follows_norm(norms.query)) || (norms.key && !follows_norm(norms.key))) break;
      return split(followed_rows(joined, config, norms, turn), config);
    case OpPath::torch:
      break;
  }
  return split_and_turn(joined, config, norms, turn);
}

torch::Tensor rope_cache(torch::Tensor joined, const checkpoint::ModelConfig& config, HeadNorms norms,
                         const Rotation& turn, const DevicePlan& plan, const CacheLayer& layer) {
  RECORD_FUNCTION("cmc::rope_cache", c10::ArrayRef<const c10::IValue>{});
  switch (path_of(joined)) {
    case OpPath::cpu_kernels: {
      joined = joined.contiguous();
      const int64_t width = config.kv_heads * config.head_dim;
      const int32_t *slots = plan.slots.const_data_ptr<int32_t>(), *places = plan.places.const_data_ptr<int32_t>();
      float *keys = layer.keys.data_ptr<float>(), *values = layer.values.data_ptr<float>();
      turn_rows(joined, config, norms, turn, [&](int64_t row, const float* key, const float* value) {
        const int64_t cell = (slots[row] * layer.capacity + places[row]) * width;
        std::memcpy(keys + cell, key, static_cast<size_t>(width) * sizeof(float));
        std::memcpy(values + cell, value, static_cast<size_t>(width) * sizeof(float));
      });
      return split(joined, config).query;
    }
    case OpPath::device_kernels:
      return device::rope_cache(joined, config, norms, turn, plan, layer);
    case OpPath::cpu_gradients:
    case OpPath::torch:
      break;
  }
  const Heads heads = split_and_turn(joined, config, norms, turn);
  torch::Tensor(layer.keys).index_copy_(0, layer.cells, heads.key);
  torch::Tensor(layer.values).index_copy_(0, layer.cells, heads.value);
  return heads.query;
}

}  // namespace cmc::model
