#include "pipeline/fusion/fused_logits.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/bounded_choice.hpp"
#include "pipeline/fusion/chosen.hpp"
#include "pipeline/fusion/device_fusion.hpp"
#include "pipeline/fusion/fused_kernels.hpp"
#include "pipeline/fusion/fused_tensor.hpp"
#include "pipeline/fusion/mapped_row.hpp"

namespace cmc::fusion {
namespace {

constexpr int64_t piece = 32768;  // vocabulary entries of one work item; fixed, so that sums do not depend on threads

bool plain(const LogitTerm& term, int64_t vocabulary) {
  return !term.map.defined() && term.logits.width() >= vocabulary;
}

// Whether what it adds to a token is known before the whole row is summed, as the CPU's kernels need it.
bool adds_by_token(const LogitTerm& term) {
  return term.gate.rule != GateRule::disagreement && term.variant.in_kernels();
}

// Adds to `row` what the gate lets through of `term`, a row above zeros.
void let_through(const DeltaGate& gate, const float* base, int64_t vocabulary, const KernelRow& term, KernelRow& row) {
  if (gate.rule == GateRule::unsure) {
    if (is_sure(base, vocabulary, gate.threshold)) return;
    row.addends.insert(row.addends.end(), term.addends.begin(), term.addends.end());
    row.lists.insert(row.lists.end(), term.lists.begin(), term.lists.end());
    row.few.insert(row.few.end(), term.few.begin(), term.few.end());
    return;
  }
  KernelRow::Few few{plausible_tokens(base, vocabulary, gate.threshold), {}, 0.0f};
  for (const int64_t token : few.tokens) {
    few.values.push_back(0.0f);
    fuse(term, token, token + 1, &few.values.back());
  }
  row.few.push_back(std::move(few));
}

// CPU rows of a FusedLogits: what is mapped is multiplied by its coefficient once, with a zero after its end that
// unmapped base tokens point to, so that the loop over the vocabulary has neither branch nor multiplication.
class CpuRows {
 public:
  // `ranked`: what the base's most probable tokens are told by; the base before any normalisation, whose rounding could
  // make scores equal.
  CpuRows(const torch::Tensor& base, const torch::Tensor& ranked, const std::vector<LogitTerm>& terms)
      : vocabulary_(base.size(1)),
        rows_(static_cast<size_t>(base.size(0))),
        base_(base.contiguous()),
        ranked_(ranked.contiguous()) {
    for (size_t r = 0; r < rows_.size(); ++r)
      rows_[r].base = base_.const_data_ptr<float>() + static_cast<int64_t>(r) * vocabulary_;
    for (const auto& term : terms) term.gate.is_open() ? add(term) : add_gated(term);
  }

  const KernelRow& operator[](int64_t row) const { return rows_[static_cast<size_t>(row)]; }
  int64_t pieces() const { return (vocabulary_ + piece - 1) / piece; }

  // Calls work(row, piece, begin, end) for every piece of every row, in parallel.
  void for_each(const std::function<void(int64_t, int64_t, int64_t, int64_t)>& work) const {
    const int64_t per_row = pieces();
    at::parallel_for(0, static_cast<int64_t>(rows_.size()) * per_row, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const int64_t begin = i % per_row * piece;
        work(i / per_row, i % per_row, begin, std::min(begin + piece, vocabulary_));
      }
    });
  }

 private:
  void add(const LogitTerm& term) {
    const int64_t width = term.logits.width();
    const bool variant = !term.variant.is_default();
    const auto logits = term.logits.whole().contiguous();
    const auto offset =
        term.normalisation == Normalisation::log_softmax ? logits.logsumexp(1) : torch::zeros({logits.size(0)});
    if (!variant && plain(term, vocabulary_)) return add_plain(term, logits, offset);
    auto scaled = model::numbers_in(term.memory.get(), {logits.size(0), width + 1}, torch::kFloat32);
    at::parallel_for(0, logits.size(0), 1, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k)
        scale(logits.const_data_ptr<float>() + k * width, width,
              variant ? 1.0f : term.coefficients[static_cast<size_t>(k)], offset.const_data_ptr<float>()[k],
              scaled.data_ptr<float>() + k * (width + 1));
    });
    held_.push_back(scaled);
    if (variant) return add_variant(term, scaled);
    const int32_t* index = columns_of(term, width);
    for (size_t k = 0; k < term.rows.size(); ++k)
      rows_[static_cast<size_t>(term.rows[k])].addends.push_back(
          {scaled.const_data_ptr<float>() + static_cast<int64_t>(k) * (width + 1), index});
  }

  void add_plain(const LogitTerm& term, const torch::Tensor& logits, const torch::Tensor& offset) {
    held_.push_back(logits);
    for (size_t k = 0; k < term.rows.size(); ++k)
      rows_[static_cast<size_t>(term.rows[k])].addends.push_back(
          {logits.const_data_ptr<float>() + static_cast<int64_t>(k) * logits.size(1), nullptr, term.coefficients[k],
           offset.const_data_ptr<float>()[k]});
  }

  // The term is made alone, above zeros; what its gate lets through goes on top of what was there.
  void add_gated(const LogitTerm& term) {
    LogitTerm open = term;
    open.gate = {};
    held_.push_back(torch::zeros({vocabulary_}, torch::kFloat32));
    std::vector<KernelRow> others(static_cast<size_t>(std::ssize(term.rows)));
    for (size_t k = 0; k < others.size(); ++k) {
      others[k] = std::exchange(rows_[static_cast<size_t>(term.rows[k])], {});
      rows_[static_cast<size_t>(term.rows[k])].base = held_.back().const_data_ptr<float>();
    }
    add(open);
    at::parallel_for(0, std::ssize(term.rows), 1, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) {
        const int64_t at = term.rows[static_cast<size_t>(k)];
        KernelRow& row = rows_[static_cast<size_t>(at)];
        const KernelRow made = std::exchange(row, std::move(others[static_cast<size_t>(k)]));
        let_through(term.gate, ranked_.const_data_ptr<float>() + at * vocabulary_, vocabulary_, made, row);
      }
    });
  }

  // `delta` [K, Vi + 1]: not multiplied yet, since a maximum or minimum is taken before (coefficients may be negative).
  void add_variant(const LogitTerm& term, torch::Tensor delta) {
    const auto& variant = term.variant;
    const int64_t width = term.logits.width();
    const bool lists = variant.one_to_many();
    const auto ids = (lists ? variant.candidates : term.map).contiguous(),
               offsets = lists ? variant.offsets.contiguous() : torch::Tensor();
    held_.insert(held_.end(), {ids, offsets});
    const int32_t* index = lists || variant.top > 0 ? nullptr : columns_of(term, width);
    at::parallel_for(0, std::ssize(term.rows), 1, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) {
        const float coefficient = term.coefficients[static_cast<size_t>(k)];
        const int64_t at = term.rows[static_cast<size_t>(k)];
        float* values = delta.data_ptr<float>() + k * (width + 1);
        KernelRow& row = rows_[static_cast<size_t>(at)];  // each row at most once in a term
        const MappedRow mapped{values, ids.const_data_ptr<int32_t>(),
                               lists ? offsets.const_data_ptr<int64_t>() : nullptr,
                               std::min(vocabulary_, lists ? offsets.size(0) - 1 : ids.size(0))};
        if (variant.top > 0) {
          auto tokens = most_probable(ranked_.const_data_ptr<float>() + at * vocabulary_, vocabulary_, variant.top);
          row.few.push_back(few_of(mapped, std::move(tokens), variant.unmapped, coefficient));
        } else if (lists) {
          row.lists.push_back(
              {values, mapped.ids, mapped.offsets, coefficient, coefficient * fill_of_all(mapped, variant.unmapped)});
        } else {
          values[width] = fill_of_all(mapped, variant.unmapped);
          for (int64_t v = 0; v <= width; ++v) values[v] *= coefficient;
          row.addends.push_back({values, index});
        }
      }
    });
  }

  static void scale(const float* logits, int64_t width, float coefficient, float offset, float* out) {
    for (int64_t v = 0; v < width; ++v) out[v] = coefficient * (logits[v] - offset);
    out[width] = 0.0f;
  }

  const int32_t* columns_of(const LogitTerm& term, int64_t width) {
    auto columns = term.index.columns;
    if (!columns.defined()) columns = index_of(term.map, {}, width, vocabulary_, torch::kCPU).columns;
    held_.push_back(columns);
    return columns.const_data_ptr<int32_t>();
  }

  int64_t vocabulary_;
  std::vector<KernelRow> rows_;
  torch::Tensor base_, ranked_;
  std::vector<torch::Tensor> held_;
};

}  // namespace

FusedLogits::FusedLogits(torch::Tensor base, Normalisation base_normalisation, std::vector<LogitTerm> terms)
    : base_(std::move(base)), base_normalisation_(base_normalisation), terms_(std::move(terms)) {
  expect(base_.dim() == 2 && base_.scalar_type() == torch::kFloat32, "base logits are [rows, vocabulary] float32");
  for (const auto& term : terms_) {
    expect(!term.index.columns.defined() || term.index.columns.numel() == vocabulary(), "a column for each base token");
    if (!term.logits.waits()) {
      const auto& logits = term.logits.whole();
      expect(logits.dim() == 2 && logits.scalar_type() == torch::kFloat32, "term logits are [K, V] float32");
      expect(logits.device() == base_.device(), "base and term logits are on one device");
    }
    const auto count = static_cast<size_t>(term.logits.rows());
    expect(term.rows.size() == term.coefficients.size() &&
               (term.rows.size() == count || (term.placed.row_of.defined() && term.rows.size() < count)),
           "a row and a coefficient per term row, but for rows that fill up a step");
    for (const int64_t row : term.rows) expect(row >= 0 && row < rows(), "a term's row is one of the base's");
    if (term.map.defined())
      expect(term.map.dim() == 1 && term.map.scalar_type() == torch::kInt32, "the map is [V] int32");
    expect(term.map.defined() || term.variant.is_default(), "a variant of the map has one");
    if (term.variant.one_to_many())
      expect(term.variant.offsets.dim() == 1 && term.variant.offsets.size(0) == vocabulary() + 1,
             "a list for each base token");
  }
}

// Its operations are never differentiated.
model::OpPath FusedLogits::path() const {
  const torch::NoGradGuard no_gradients;
  const auto path = model::path_of(base_);
  const bool fits =
      path == model::OpPath::device_kernels ? device::takes(terms_) : std::ranges::all_of(terms_, adds_by_token);
  return fits ? path : model::OpPath::torch;
}

void FusedLogits::choose_into(const Draws& draws, const ChoiceTarget& target) const {
  switch (path()) {
    case model::OpPath::cpu_kernels: {
      auto* tokens = target.tokens.data_ptr<int32_t>();
      choose_by_cpu(draws, tokens);
      for (int64_t row = 0; row < rows(); ++row)
        target.chosen.data_ptr<int32_t>()[target.slots.const_data_ptr<int32_t>()[row]] = std::max(tokens[row], 0);
      return;
    }
    case model::OpPath::device_kernels:
      return device::choose_into(base_, terms_, draws, target);
    case model::OpPath::cpu_gradients:
    case model::OpPath::torch: {
      const auto tokens = choice_among(fused_scores(base_, Normalisation::raw, terms_), draws.sampling, draws.placed);
      target.tokens.copy_(tokens);
      target.chosen.index_copy_(0, target.slots.to(torch::kInt64), tokens.clamp_min(0));
    }
  }
}

std::vector<BaseToken> FusedLogits::choose(const Sampling& sampling, std::span<const double> uniforms) const {
  const auto device = base_.device();
  Draws draws{sampling, uniforms, {}};
  if (!sampling.greedy()) {
    expect(static_cast<int64_t>(uniforms.size()) == rows(), "one number a row decides its draw");
    draws.placed = torch::tensor(std::vector<double>(uniforms.begin(), uniforms.end()), torch::kFloat64).to(device);
  }
  const auto slots = torch::arange(rows(), torch::dtype(torch::kInt32).device(device));
  const ChoiceTarget target{torch::empty_like(slots), torch::empty_like(slots), slots};
  choose_into(draws, target);
  return Chosen(std::vector<bool>(static_cast<size_t>(rows()), true), target.tokens.cpu(), {}).tokens();
}

void FusedLogits::choose_by_cpu(const Draws& draws, int32_t* tokens) const {
  if (draws.sampling.greedy()) return best_by_cpu(tokens);
  const CpuRows fused(base_, base_, terms_);
  at::parallel_for(0, rows(), 1, [&](int64_t from, int64_t to) {
    std::vector<float> scores(static_cast<size_t>(vocabulary()));
    for (int64_t row = from; row < to; ++row) {
      fuse(fused[row], 0, vocabulary(), scores.data());
      tokens[row] = draw(scores, draws.sampling, draws.uniforms[static_cast<size_t>(row)]).value;
    }
  });
}

void FusedLogits::best_by_cpu(int32_t* tokens) const {
  if (choose_by_bound(base_, terms_, tokens)) return;
  const CpuRows fused(base_, base_, terms_);
  std::vector<Best> best(static_cast<size_t>(rows() * fused.pieces()));
  fused.for_each([&](int64_t row, int64_t part, int64_t begin, int64_t end) {
    best[static_cast<size_t>(row * fused.pieces() + part)] = best_in(fused[row], begin, end);
  });
  for (int64_t r = 0; r < rows(); ++r) {
    const auto* row = best.data() + r * fused.pieces();
    Best top = row[0];
    for (int64_t p = 1; p < fused.pieces(); ++p)
      if (row[p].token >= 0 && (top.token < 0 || row[p].score > top.score)) top = row[p];
    tokens[r] = top.token < 0 || !std::isfinite(top.score) ? -1 : static_cast<int32_t>(top.token);
  }
}

torch::Tensor FusedLogits::log_prob_of(std::span<const BaseToken> tokens) const {
  expect(static_cast<int64_t>(tokens.size()) == rows(), "one token per row");
  for (const auto token : tokens)
    expect(token.value >= 0 && token.value < vocabulary(), "a token of the base's vocabulary");
  if (const auto way = path(); way != model::OpPath::cpu_kernels) {
    std::vector<int32_t> ids;
    for (const auto token : tokens) ids.push_back(token.value);
    const auto asked = torch::tensor(ids, torch::kInt32).to(base_.device());
    if (way == model::OpPath::device_kernels) return device::log_prob_of(base_, terms_, asked);
    const auto sum = fused_scores(base_, Normalisation::raw, terms_);
    return sum.gather(1, asked.to(torch::kInt64).unsqueeze(1)).squeeze(1) - sum.logsumexp(1);
  }
  const CpuRows fused(base_, base_, terms_);
  std::vector<std::vector<LogSum>> sums(tokens.size(), std::vector<LogSum>(static_cast<size_t>(fused.pieces())));
  fused.for_each([&](int64_t row, int64_t part, int64_t begin, int64_t end) {
    sums[static_cast<size_t>(row)][static_cast<size_t>(part)] = log_sum_in(fused[row], begin, end);
  });
  auto out = torch::empty({rows()}, torch::kFloat32);
  for (int64_t r = 0; r < rows(); ++r) {
    const int64_t token = tokens[static_cast<size_t>(r)].value;
    float chosen = 0.0f;
    fuse(fused[r], token, token + 1, &chosen);
    out.data_ptr<float>()[r] = static_cast<float>(chosen - joined(sums[static_cast<size_t>(r)]));
  }
  return out;
}

torch::Tensor FusedLogits::log_probs() const {
  return scores().log_softmax(1);
}

FusedLogits::Moments FusedLogits::moments() const {
  const auto log_p = log_probs().clamp_min_(-1e4);  // of what cannot be drawn, log p is infinite and p log p is 0
  const auto p = log_p.exp();
  const auto mean = (p * log_p).sum(1);
  return {mean, (log_p - mean.unsqueeze(1)).square_().mul_(p).sum(1)};
}

FusedLogits FusedLogits::of_rows(std::span<const int64_t> rows) const {
  const auto pick = [](const torch::Tensor& from, const std::vector<int64_t>& rows) {
    return from.index_select(0, torch::tensor(rows, torch::kInt64).to(from.device()));
  };
  std::vector<int64_t> place(static_cast<size_t>(this->rows()), -1);
  for (size_t at = 0; at < rows.size(); ++at) place[static_cast<size_t>(rows[at])] = static_cast<int64_t>(at);
  std::vector<LogitTerm> terms;
  for (const auto& term : terms_) {
    LogitTerm part = term;
    part.placed = {};
    part.rows.clear(), part.coefficients.clear();
    std::vector<int64_t> kept;
    for (size_t k = 0; k < term.rows.size(); ++k) {
      const int64_t row = place[static_cast<size_t>(term.rows[k])];
      if (row < 0) continue;
      kept.push_back(static_cast<int64_t>(k));
      part.rows.push_back(row);
      part.coefficients.push_back(term.coefficients[k]);
    }
    if (kept.empty()) continue;
    part.logits = pick(term.logits.whole(), kept);
    terms.push_back(std::move(part));
  }
  return {pick(base_, {rows.begin(), rows.end()}), base_normalisation_, std::move(terms)};
}

torch::Tensor FusedLogits::scores() const {
  if (path() != model::OpPath::cpu_kernels) return fused_scores(base_, base_normalisation_, terms_);
  const auto base = base_normalisation_ == Normalisation::log_softmax ? base_.log_softmax(1) : base_;
  auto sum = torch::empty_like(base, torch::MemoryFormat::Contiguous);
  const CpuRows fused(base, base_, terms_);
  fused.for_each([&](int64_t row, int64_t, int64_t begin, int64_t end) {
    fuse(fused[row], begin, end, sum.data_ptr<float>() + row * vocabulary() + begin);
  });
  return sum;
}

}  // namespace cmc::fusion
