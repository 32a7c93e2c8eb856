#include "pipeline/model/adapter.hpp"

#include <string>

#include "pipeline/core/hash.hpp"

namespace cmc::model {

namespace {

torch::Tensor keep_mask(const torch::Tensor& x, const Slices& columns, double dropout, uint64_t seed) {
  at::Generator generator = at::globalContext().defaultGenerator(x.device()).clone();
  generator.set_current_seed(seed);
  const bool all = columns.count() == columns.whole;
  const torch::Tensor mask =
      torch::empty({x.size(0), all ? x.size(1) : columns.whole}, x.options().requires_grad(false))
          .bernoulli_(1.0 - dropout, generator);
  if (all) return mask;
  torch::Tensor own = torch::empty({x.size(0), columns.count()}, mask.options());
  copy_slices(mask, all_of(x.size(0)), columns, own);
  return own;
}

}  // namespace

torch::Tensor Adapter::operator()(const torch::Tensor& x, std::optional<uint64_t> dropout_seed) const {
  torch::Tensor input = x.to(torch::kFloat32);
  if (dropout_seed && dropout > 0.0) {
    const uint64_t seed = seed_of({"adapter dropout", std::to_string(*dropout_seed), std::to_string(stream)});
    input = input * keep_mask(input, columns, dropout, seed).div_(1.0 - dropout);
  }
  return torch::mm(torch::mm(input, a.t()), b.t()) * scale;
}

torch::Tensor Adapter::product() const {
  return torch::mm(b, a) * scale;
}

}  // namespace cmc::model
