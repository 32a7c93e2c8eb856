// Logits of a fixed script of passes, and fused logits of every kind.
#include "pipeline/core/random.hpp"
#include "pipeline/fusion/fused_logits.hpp"
#include "tests/cuda/checks.hpp"

namespace cmc::device_checks {
namespace {

using fusion::FusedLogits;
using fusion::LogitTerm;
using fusion::Normalisation;
using fusion::Unmapped;

// Prefill of uneven spans, decoding of all, decoding beside a new prompt, slots of very different lengths, spans
// without a cache, a tree.
std::vector<torch::Tensor> scripted(const model::DecoderModel& m) {
  const torch::NoGradGuard no_grad;
  model::KvCache cache = m.make_cache(4, 64);
  std::vector<torch::Tensor> out;
  uint64_t seed = 1;
  const auto pass = [&](std::vector<model::Span> spans, model::KvCache* over) {
    model::ModelInput input;
    std::vector<int64_t> packed;
    for (const auto& span : spans) {
      const auto tokens = some_tokens(span.tokens, m.config().vocabulary, seed++);
      packed.insert(packed.end(), tokens.begin(), tokens.end());
    }
    input.tokens = torch::tensor(packed, torch::kInt64);
    input.spans = std::move(spans);
    out.push_back(m.logits(m.hidden(input, over)).cpu());
  };
  pass({{0, 5}, {1, 20}, {2, 9}}, &cache);
  for (int step = 0; step < 3; ++step) pass({{0, 1}, {1, 1}, {2, 1}}, &cache);
  pass({{0, 1}, {3, 18}, {1, 1}, {2, 1}}, &cache);
  pass({{3, 1}}, &cache);
  pass({{0, 3}, {1, 1}, {2, 2}}, &cache);
  cache.truncate(1, 4);
  pass({{1, 2}, {3, 1}}, &cache);
  pass({{0, 17}, {1, 25}}, nullptr);
  model::ModelInput tree;
  tree.tokens = torch::tensor(some_tokens(4, m.config().vocabulary, 99), torch::kInt64);
  tree.positions = torch::tensor(std::vector<int64_t>{0, 1, 1, 2}, torch::kInt64);
  tree.spans = {{0, 4}};
  tree.tree_mask = torch::tensor(std::vector<int64_t>{1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1}, torch::kInt64)
                       .view({4, 4})
                       .to(torch::kBool);
  out.push_back(m.logits(m.hidden(tree, nullptr)).cpu());
  return out;
}

double farthest(const std::vector<torch::Tensor>& mine, const std::vector<torch::Tensor>& truth) {
  double worst = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    worst = std::max(worst, ((mine[i] - truth[i]).norm() / truth[i].norm()).item<double>());
  return worst;
}

// A term of each kind of fusion, and what of the base's normalisation it stands beside.
struct Case {
  LogitTerm term;
  Normalisation base = Normalisation::log_softmax;
};

constexpr int kinds = 9;
const char* const kind_names[kinds] = {
    "map",         "normalised delta", "unmapped: minimum", "unmapped: mean",        "one to many",
    "top of many", "same vocabulary",  "raw sum",           "top, unmapped: minimum"};

Case case_of(int kind, int64_t rows, int64_t vocabulary) {
  Random random(static_cast<uint64_t>(kind));
  torch::manual_seed(static_cast<uint64_t>(kind));
  const int64_t other = 1 + vocabulary / 3;
  Case made;
  made.term.logits = torch::randn({rows, other}) * 3;
  made.term.map = torch::randint(-1, other, {vocabulary}, torch::kInt32);
  LogitTerm& term = made.term;
  for (int64_t r = 0; r < rows; ++r) {
    term.rows.push_back(rows - 1 - r);
    term.coefficients.push_back(0.5f + 0.1f * static_cast<float>(r));
  }
  if (kind == 1) term.normalisation = Normalisation::log_softmax;
  if (kind == 2) term.variant.unmapped = Unmapped::minimum;
  if (kind == 3) term.variant.unmapped = Unmapped::mean;
  if (kind == 4 || kind == 5 || kind == 8) {
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> ids;
    for (int64_t v = 0; v < vocabulary; ++v) {
      for (uint64_t i = random.below(4); i > 0; --i)
        ids.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(other))));
      offsets.push_back(std::ssize(ids));
    }
    term.variant.candidates = torch::tensor(ids, torch::kInt32);
    term.variant.offsets = torch::tensor(offsets, torch::kInt64);
    if (kind != 4) term.variant.top = 10;
    if (kind == 8) term.variant.unmapped = Unmapped::minimum;
  }
  if (kind == 6) {
    term.map = torch::Tensor();
    term.logits = torch::randn({rows, vocabulary}) * 3;
  }
  if (kind == 7) made.base = Normalisation::raw;
  return made;
}

LogitTerm moved(LogitTerm term, torch::Device device) {
  term.logits = term.logits.whole().to(device);
  for (torch::Tensor* tensor : {&term.map, &term.variant.candidates, &term.variant.offsets})
    if (tensor->defined()) *tensor = tensor->to(device);
  return term;
}

}  // namespace

void check_logits(torch::Device device) {
  for (const auto& [name, make] : all_kinds()) {
    const auto check = [&, &name = name, &make = make] {
      const auto truth = scripted(*make(torch::kFloat32, torch::kCPU));
      // float64 takes torch operations alone, so that it tells a wrong kernel from a rounded sum.
      report("logits, " + name + ", float32", farthest(scripted(*make(torch::kFloat32, device)), truth), 1e-5);
      report("logits, " + name + ", float64", farthest(scripted(*make(torch::kFloat64, device)), truth), 1e-5);
      report("logits, " + name + ", bfloat16", farthest(scripted(*make(torch::kBFloat16, device)), truth), 5e-2);
    };
    guarded("logits, " + name, check);
  }
}

void check_fusion(torch::Device device) {
  for (int kind = 0; kind < kinds; ++kind) {
    const std::string name = std::string("fused logits, ") + kind_names[kind];
    guarded(name, [&] {
      double worst = 0;
      int64_t different = 0;
      for (const int64_t rows : {1, 3, 64})
        for (const int64_t vocabulary : {33, 1000, 32000}) {
          const Case made = case_of(kind, rows, vocabulary);
          const torch::Tensor base = torch::randn({rows, vocabulary}) * 5;
          const FusedLogits here(base, made.base, {made.term}),
              there(base.to(device), made.base, {moved(made.term, device)});
          const auto mine = there.argmax(), truth = here.argmax();
          for (size_t i = 0; i < truth.size(); ++i) different += mine[i].value != truth[i].value;
          const auto gap = here.log_prob_of(truth) - there.log_prob_of(truth).cpu();
          worst = std::max(worst, gap.abs().max().item<double>());
        }
      report(name + ": chosen tokens that differ", static_cast<double>(different), 0);
      report(name + ": log-probabilities (nat)", worst, 2e-5);
    });
  }
}

}  // namespace cmc::device_checks
