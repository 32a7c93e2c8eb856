#include "pipeline/model/attention_gradient.hpp"

#include <ATen/Parallel.h>

#include "pipeline/cpu/span_attention.hpp"
#include "pipeline/model/kept_for_backward.hpp"

namespace cmc::model {

namespace {

struct SpanLayout {
  std::vector<Placement> spans;
  int64_t heads, kv_heads, dim, window;
  float scale;

  int64_t width() const { return (heads + 2 * kv_heads) * dim; }
  int64_t group() const { return heads / kv_heads; }
  // What a task reads of rows like `joined`; a task: a span and a key/value head.
  struct Places {
    int64_t row, query, key, value, head;
  };
  Places places(const Placement& span, int64_t kv_head) const {
    const int64_t row = span.first * width();
    return {span.first, row + kv_head * group() * dim, row + (heads + kv_head) * dim,
            row + (heads + kv_heads + kv_head) * dim, kv_head * group()};
  }
  cpu::SpanHeads of(const float* joined, const Placement& span, const Places& at) const {
    return {joined + at.query, joined + at.key, joined + at.value, span.tokens, group(), dim, width(), scale, window};
  }
  void for_each(const std::function<void(const Placement&, const Places&)>& work) const {
    at::parallel_for(0, std::ssize(spans) * kv_heads, 1, [&](int64_t first, int64_t last) {
      for (int64_t task = first; task < last; ++task) {
        const Placement& span = spans[static_cast<size_t>(task / kv_heads)];
        work(span, places(span, task % kv_heads));
      }
    });
  }
};

class SpanAttention : public torch::autograd::Function<SpanAttention> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& joined,
                               const SpanLayout& layout) {
    const torch::Tensor input = joined.contiguous();
    const int64_t rows = input.size(0), width = layout.heads * layout.dim;
    torch::Tensor result = torch::empty({rows, width}, input.options());
    const torch::Tensor normalisers = torch::empty({rows, layout.heads}, input.options());
    const float* from = input.const_data_ptr<float>();
    float *to = result.data_ptr<float>(), *kept = normalisers.data_ptr<float>();
    layout.for_each([&](const Placement& span, const SpanLayout::Places& at) {
      cpu::attend_span(layout.of(from, span, at), to + at.row * width + at.head * layout.dim, width,
                       kept + at.row * layout.heads + at.head, layout.heads);
    });
    context->save_for_backward({input, normalisers});
    keep_for_backward(context, layout);
    return result;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list upstream) {
    const auto layout = kept_for_backward<SpanLayout>(context);
    const auto saved = context->get_saved_variables();
    const torch::Tensor above = upstream[0].contiguous();
    torch::Tensor slopes = torch::zeros_like(saved[0]);
    const int64_t width = layout.heads * layout.dim;
    const float *from = saved[0].const_data_ptr<float>(), *kept = saved[1].const_data_ptr<float>();
    const float* by_result = above.const_data_ptr<float>();
    float* to = slopes.data_ptr<float>();
    layout.for_each([&](const Placement& span, const SpanLayout::Places& at) {
      cpu::attend_span_back(layout.of(from, span, at), {by_result + at.row * width + at.head * layout.dim, width,
                                                        kept + at.row * layout.heads + at.head, layout.heads,
                                                        to + at.query, to + at.key, to + at.value});
    });
    return {slopes, torch::Tensor()};
  }
};

}  // namespace

torch::Tensor attend_spans(const torch::Tensor& joined, const checkpoint::ModelConfig& config,
                           const std::vector<Placement>& spans, double scale, int64_t window) {
  return SpanAttention::apply(
      joined, SpanLayout{spans, config.heads, config.kv_heads, config.head_dim, window, static_cast<float>(scale)});
}

}  // namespace cmc::model
