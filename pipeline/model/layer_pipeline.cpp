#include "pipeline/model/layer_pipeline.hpp"

#include <span>

#include "pipeline/model/kept_for_backward.hpp"

namespace cmc::model {

namespace {

// The tensor of the communicator's rank `root`, on all of them.
torch::Tensor from_root(const distributed::Communicator& ranks, int root, const torch::Tensor& x) {
  const bool gives = ranks.rank() == root;
  const torch::Tensor on_host = gives ? x.detach().to(torch::kCPU).contiguous()
                                      : torch::empty(x.sizes(), x.options().device(torch::kCPU).requires_grad(false));
  ranks.broadcast({static_cast<std::byte*>(on_host.data_ptr()), on_host.nbytes()}, root);
  return on_host.to(x.device());
}

class TakenOver : public torch::autograd::Function<TakenOver> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& taken, const LayerPipeline& pipeline, bool trains_embedding) {
    keep_for_backward(context, pipeline);
    context->saved_data["trains_embedding"] = trains_embedding;
    return taken.is_same(x) ? x.view_as(x) : taken;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto pipeline = kept_for_backward<LayerPipeline>(context);
    pipeline.return_gradient(upstream.front());
    torch::Tensor gradient;
    if (context->saved_data["trains_embedding"].toBool()) gradient = pipeline.from_first_block(upstream.front());
    return {gradient, torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

class HandedOn : public torch::autograd::Function<HandedOn> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& last, const LayerPipeline& pipeline) {
    keep_for_backward(context, pipeline);
    if (!pipeline.is_last()) context->save_for_backward({x});
    return last;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto pipeline = kept_for_backward<LayerPipeline>(context);
    // What stands behind the last layer is computed by all alike; its gradient counts where that layer is.
    const torch::Tensor gradient =
        pipeline.is_last() ? upstream.front() : pipeline.await_gradient(context->get_saved_variables().front());
    return {gradient, torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

LayerPipeline::LayerPipeline(const distributed::Communicator& ranks, TensorRank rank)
    : block_(rank.block()), ranks_(ranks), last_first_(rank.size - rank.in_block().size) {
  const int size = rank.in_block().size;
  // Border by border, so that no two groups of a rank are made at once.
  for (int border = 0; border + 1 < rank.blocks; ++border) {
    const bool gives = block_.index == border, takes = block_.index == border + 1;
    if (!gives && !takes) continue;
    const int first = border * size + rank.in_block().index;
    const std::vector<int> pair = {first, first + size};
    (gives ? next_ : before_) = ranks.group(pair, rank.size + first);
  }
}

torch::Tensor LayerPipeline::take_over(const torch::Tensor& x, bool trains_embedding) const {
  if (!is_split()) return x;
  const torch::Tensor taken = block_.index == 0 ? x : from_root(before_, 0, x);
  return is_followed(x) ? TakenOver::apply(x, taken, *this, trains_embedding) : taken;
}

torch::Tensor LayerPipeline::hand_on(const torch::Tensor& x, int64_t wanted) const {
  if (!is_split()) return x;
  if (!is_last()) from_root(next_, 0, x);
  const torch::Tensor shaped = is_last() ? x : torch::empty({wanted, x.size(1)}, x.options().requires_grad(false));
  const torch::Tensor last = from_root(ranks_, last_first_, shaped);
  return is_followed(x) ? HandedOn::apply(x, last, *this) : last;
}

void LayerPipeline::return_gradient(const torch::Tensor& gradient) const {
  if (block_.index > 0) from_root(before_, 1, gradient);
}

torch::Tensor LayerPipeline::await_gradient(const torch::Tensor& like) const {
  return from_root(next_, 1, like);
}

torch::Tensor LayerPipeline::from_first_block(const torch::Tensor& gradient) const {
  return from_root(ranks_, 0, gradient);
}

}  // namespace cmc::model
