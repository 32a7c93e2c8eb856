#include "pipeline/fusion/device_fusion.hpp"

#include <algorithm>
#include <map>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/fused_tensor.hpp"
#include "pipeline/kernels/fused_choice.hpp"
#include "pipeline/kernels/fused_log_prob.hpp"
#include "pipeline/model/device_ops.hpp"

namespace cmc::fusion::device {
namespace {

kernels::Unmapped treatment_of(Unmapped unmapped) {
  switch (unmapped) {
    case Unmapped::zero:
      return kernels::Unmapped::zero;
    case Unmapped::minimum:
      return kernels::Unmapped::minimum;
    case Unmapped::mean:
      return kernels::Unmapped::mean;
  }
  expect(false, "a treatment of unmapped tokens that kernels know");
  return {};
}

// Kept between calls: the kernels leave it as they need it. A thread works on one stream.
void* workspace_of(torch::Device device, int64_t bytes) {
  thread_local std::map<std::pair<int, int>, torch::Tensor> kept;
  auto& workspace = kept[{static_cast<int>(device.type()), device.index()}];
  if (!workspace.defined() || workspace.numel() < bytes)
    workspace = torch::zeros({bytes}, torch::dtype(torch::kUInt8).device(device));
  return workspace.data_ptr();
}

// A sum as the kernels read it, and the tensors behind its pointers.
class Scores {
 public:
  Scores(const torch::Tensor& base, const std::vector<LogitTerm>& terms) {
    scores_.rows = base.size(0);
    scores_.vocabulary = base.size(1);
    scores_.base = data<float>(base);
    for (const auto& term : terms) scores_.terms[scores_.term_count++] = term_of(term);
    const int64_t bytes = kernels::fused_workspace(scores_.rows);
    scores_.workspace = workspace_of(base.device(), bytes);
  }
  const kernels::FusedScores& operator()() const { return scores_; }

 private:
  template <class Number>
  const Number* data(const torch::Tensor& tensor) {
    if (!tensor.defined()) return nullptr;
    held_.push_back(tensor.contiguous());
    return held_.back().template const_data_ptr<Number>();
  }

  kernels::FusedTerm term_of(const LogitTerm& term) {
    const auto place = placed(term, scores_.rows);
    const bool lists = term.variant.one_to_many();
    kernels::FusedTerm made;
    made.logits = data<float>(term.logits.whole());
    made.count = term.logits.rows();
    made.width = term.logits.width();
    made.row_of = data<int32_t>(place.row_of);
    made.coefficients = data<float>(place.coefficients);
    if (!lists) made.map = data<int32_t>(term.map);
    made.candidates = data<int32_t>(term.variant.candidates);
    made.offsets = data<int64_t>(term.variant.offsets);
    made.mapped = lists ? term.variant.offsets.size(0) - 1 : term.map.defined() ? term.map.size(0) : made.width;
    made.mapped = std::min(made.mapped, scores_.vocabulary);
    made.top = term.variant.top;
    made.unmapped = treatment_of(term.variant.unmapped);
    made.log_softmax = term.normalisation == Normalisation::log_softmax;
    return made;
  }

  std::vector<torch::Tensor> held_;
  kernels::FusedScores scores_;
};

}  // namespace

bool takes(const std::vector<LogitTerm>& terms) {
  return terms.size() <= kernels::fused_largest_terms && std::ranges::all_of(terms, [](const LogitTerm& term) {
           return term.gate.is_open() && term.variant.in_kernels();
         });
}

void choose_into(const torch::Tensor& base, const std::vector<LogitTerm>& terms, const Draws& draws,
                 const ChoiceTarget& target) {
  const Scores scores(base, terms);
  kernels::FusedChoice choice{scores(), draws.sampling.temperature, draws.sampling.top_p};
  if (!draws.sampling.greedy()) choice.uniform = draws.placed.const_data_ptr<double>();
  choice.tokens = target.tokens.data_ptr<int32_t>();
  choice.chosen = target.chosen.data_ptr<int32_t>();
  choice.slots = target.slots.const_data_ptr<int32_t>();
  kernels::fused_choice(choice, model::device::queue_of(base));
}

torch::Tensor log_prob_of(const torch::Tensor& base, const std::vector<LogitTerm>& terms, const torch::Tensor& tokens) {
  const Scores scores(base, terms);
  auto out = torch::empty({base.size(0)}, base.options());
  kernels::fused_log_prob({scores(), tokens.const_data_ptr<int32_t>(), out.data_ptr<float>()},
                          model::device::queue_of(base));
  return out;
}

}  // namespace cmc::fusion::device
