#include "pipeline/train/vocabulary_part.hpp"

namespace cmc::train {

using torch::Tensor;

Tensor VocabularyPart::rows_of(const Tensor& whole) const {
  if (!is_split() || !whole.defined() || whole.size(0) < vocabulary_) return whole;  // a split model has its part alone
  const model::Range own = model::share_of(whole.size(0), group_.tensor_rank());
  return whole.narrow(0, own.first, own.count);
}

int64_t VocabularyPart::largest(int64_t own) const {
  const int64_t ranks = group_.tensor_rank().size;
  return (vocabulary(own) + ranks - 1) / ranks;
}

Tensor VocabularyPart::max(const Tensor& z) const {
  const Tensor own = z.amax(1, true);
  return is_split() ? group_.gather_columns(own, group_.tensor_rank().size).amax(1, true) : own;
}

Tensor VocabularyPart::sum(const Tensor& z) const {
  return group_.sum(z.sum(1, true));
}

Tensor VocabularyPart::logsumexp(const Tensor& z) const {
  if (!is_split()) return torch::logsumexp(z, 1, true);
  const Tensor largest = max(z);
  return sum((z - largest).exp_()).log_().add_(largest);
}

VocabularyPart::Places VocabularyPart::places(const Tensor& tokens) const {
  const Tensor index = tokens.unsqueeze(1);
  if (!is_split()) return {index, {}};
  const model::Range own = model::share_of(vocabulary_, group_.tensor_rank());
  const Tensor here = index - own.first;
  return {here.clamp(0, own.count - 1), here.ge(0).logical_and_(here.lt(own.count))};
}

Tensor VocabularyPart::at(const Tensor& z, const Places& places) const {
  const Tensor own = z.gather(1, places.index);
  return is_split() ? group_.sum(own.masked_fill(~places.is_own, 0)) : own;
}

void VocabularyPart::add_at(Tensor& z, const Places& places, const Tensor& values) const {
  const Tensor own = is_split() ? values.masked_fill(~places.is_own, 0) : values;
  z.scatter_(1, places.index, z.gather(1, places.index) + own);  // not scatter_add_, which on CUDA adds in any order
}

}  // namespace cmc::train
