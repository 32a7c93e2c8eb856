// What fusion and choice launch, its arguments checked.
#include "pipeline/kernels/fused_passes.hpp"
#include "pipeline/kernels/launch.hpp"

namespace cmc::kernels {
namespace {

void check(const FusedScores& a) {
  expect(a.base != nullptr && a.workspace != nullptr && a.vocabulary > 0, "fused scores have a base and a workspace");
  expect(a.vocabulary <= fused_largest_vocabulary, "the vocabulary fits the workspace");
  expect(a.term_count >= 0 && a.term_count <= fused_largest_terms, "at most 16 terms");
  for (int t = 0; t < a.term_count; ++t) {
    const FusedTerm& term = a.terms[t];
    expect(term.logits != nullptr && term.coefficients != nullptr && term.width > 0, "a term has logits");
    expect(term.width <= fused_largest_vocabulary && term.count <= a.rows, "a term fits the workspace");
    expect(term.row_of != nullptr || term.count == a.rows, "a term for all rows, or told which");
    expect((term.candidates == nullptr) == (term.offsets == nullptr), "candidates come with their offsets");
    const bool variant = term.candidates != nullptr || term.top > 0 || term.unmapped != Unmapped::zero;
    expect(!variant || term.map != nullptr || term.candidates != nullptr, "a variant of the map has one");
  }
}

struct OnQueue {
  const Queue& queue;
  template <class Body>
  void pass(const typename Body::Arguments& arguments) const {
    run<Body>(arguments, queue);
  }
};

}  // namespace

int64_t fused_workspace(int64_t rows) {
  return rows * static_cast<int64_t>(sizeof(FusedRow));
}

void fused_choice(const FusedChoice& a, const Queue& queue) {
  check(a.scores);
  expect(a.tokens != nullptr && (a.chosen == nullptr || a.slots != nullptr), "a choice is written somewhere");
  const bool draws = a.temperature > 0.0;
  expect(draws || a.temperature == 0.0, "the temperature is not negative");
  expect(!draws || (a.uniform != nullptr && a.top_p > 0.0), "a draw has a number for each row");
  choose(a, OnQueue{queue});
}

void fused_log_prob(const FusedLogProb& a, const Queue& queue) {
  check(a.scores);
  expect(a.tokens != nullptr && a.out != nullptr, "a log-probability of a token, written somewhere");
  log_probabilities(a, OnQueue{queue});
}

}  // namespace cmc::kernels
