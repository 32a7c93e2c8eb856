#include "pipeline/fusion/lazy_logits.hpp"

#include <utility>

#include "pipeline/model/matrix_product.hpp"

namespace cmc::fusion {

LazyLogits::LazyLogits(torch::Tensor states, std::shared_ptr<const cpu::PackedMatrix> matrix,
                       std::shared_ptr<model::KeptMemory> memory)
    : states_(states.contiguous()), matrix_(std::move(matrix)), memory_(std::move(memory)) {}

const torch::Tensor& LazyLogits::whole() const {
  if (waits()) {
    auto logits = model::numbers_in(memory_.get(), {rows(), width()}, states_.options());
    model::packed_product_into(logits, states_, *matrix_);
    *made_ = std::move(logits);
  }
  return *made_;
}

}  // namespace cmc::fusion
