#include "pipeline/model/heads_gradient.hpp"

#include <cstring>
#include <optional>

#include "pipeline/cpu/row_gradients.hpp"
#include "pipeline/model/chunked_rows.hpp"
#include "pipeline/model/kept_for_backward.hpp"
#include "pipeline/model/norm_weights.hpp"

namespace cmc::model {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// How rows were turned.
struct Turn {
  int64_t queries, keys, dim;  // heads
  Norm query_norm, key_norm;
  torch::Tensor table, rows;
  torch::Tensor turned;  // until the forward pass has handed it on
};

// A head's norm on the way back.
struct NormBack {
  bool is_there;
  cpu::RowNorm row;
  float *weight, *bias;  // of these sums

  NormBack(const Norm& norm, float* sums, int64_t dim)
      : is_there(norm),
        row(row_norm_of(norm)),
        weight(norm.weight.defined() && norm.weight.requires_grad() ? sums : nullptr),
        bias(norm.bias.defined() && norm.bias.requires_grad() ? sums + dim : nullptr) {}
  void operator()(const float* input, float* slope, int64_t dim) const {
    if (is_there) cpu::norm_row_back(input, row, slope, dim, {nullptr, slope, weight, bias});
  }
};

class TurnedHeads : public torch::autograd::Function<TurnedHeads> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& joined, const Turn& turn,
                               const std::optional<torch::Tensor>& /*query weight*/,
                               const std::optional<torch::Tensor>& /*query bias*/,
                               const std::optional<torch::Tensor>& /*key weight*/,
                               const std::optional<torch::Tensor>& /*key bias*/) {
    const bool reads_input = turn.query_norm || turn.key_norm;
    context->save_for_backward({reads_input ? joined.contiguous() : torch::Tensor()});
    Turn kept = turn;
    kept.turned = torch::Tensor();
    keep_for_backward(context, kept);
    return turn.turned;
  }

  static variable_list backward(AutogradContext* context, variable_list upstream) {
    const auto turn = kept_for_backward<Turn>(context);
    const torch::Tensor input = context->get_saved_variables()[0], above = upstream[0].contiguous();
    const torch::Tensor slope = torch::empty_like(above);
    const int64_t dim = turn.dim, half = dim / 2, width = above.size(1), turned = (turn.queries + turn.keys) * dim;
    const float* cosines = turn.table.const_data_ptr<float>();
    const float* sines = cosines + turn.table.size(1) * half;
    const int32_t* places = turn.rows.const_data_ptr<int32_t>();
    const float *from = above.const_data_ptr<float>(),
                *read = input.defined() ? input.const_data_ptr<float>() : nullptr;
    float* to = slope.data_ptr<float>();
    const torch::Tensor sums =
        sum_over_rows(above.size(0), 4 * dim, above.options(), [&](int64_t first, int64_t last, float* own) {
          const NormBack of_query(turn.query_norm, own, dim), of_key(turn.key_norm, own + 2 * dim, dim);
          for (int64_t row = first; row < last; ++row) {
            float* all = to + row * width;
            std::memcpy(all, from + row * width, static_cast<size_t>(width) * sizeof(float));
            const int64_t at = places[row] * half;
            for (int64_t place = 0; place < turned; place += dim) {
              cpu::rotate_head_back(all + place, cosines + at, sines + at, half);
              (place < turn.queries * dim ? of_query : of_key)(read != nullptr ? read + row * width + place : nullptr,
                                                               all + place, dim);
            }
          }
        });
    const auto part = [&](const torch::Tensor& parameter, int64_t number) {
      return parameter.defined() && parameter.requires_grad() ? sums.narrow(0, number * dim, dim) : torch::Tensor();
    };
    return {slope,
            torch::Tensor(),
            part(turn.query_norm.weight, 0),
            part(turn.query_norm.bias, 1),
            part(turn.key_norm.weight, 2),
            part(turn.key_norm.bias, 3)};
  }
};

}  // namespace

torch::Tensor followed_turn(const torch::Tensor& joined, const torch::Tensor& turned,
                            const checkpoint::ModelConfig& config, HeadNorms norms, const Rotation& turn) {
  const auto own = [](const torch::Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; };
  return TurnedHeads::apply(
      joined,
      Turn{config.heads, config.kv_heads, config.head_dim, norms.query, norms.key, turn.table(), turn.rows(), turned},
      own(norms.query.weight), own(norms.query.bias), own(norms.key.weight), own(norms.key.bias));
}

}  // namespace cmc::model
