#pragma once
#include "pipeline/kernels/fused_body.hpp"
#include "pipeline/kernels/fused_log_prob.hpp"

namespace cmc::kernels {

struct LogSum {
  FusedLogProb request;
  int term = -1;  // negative: for the request; else log Σ exp of the rows of `request.scores` is kept for this term
};

// log Σ exp of each row's scores, by pieces whose sums are joined in their order.
struct LogSumBody {
  using Arguments = LogSum;
  static constexpr int threads = fused_threads;
  struct Shared {
    Joined<float, threads, Largest> maximum;
    Joined<double, threads, Sum> sum;
    bool last;
  };
  struct Private {
    float score[fused_each];
  };

  static Grid grid(const LogSum& a) {
    return {a.request.scores.rows, pieces_of(a.request.scores.vocabulary, fused_piece)};
  }
  CMC_BODY static int phases(const LogSum&, const Place&) { return 10; }
  CMC_BODY static void phase(int number, const LogSum& a, const Place& at, Shared& shared, Private& mine) {
    FusedRow& row = row_of(a.request.scores, at.x);
    const int64_t pieces = pieces_of(a.request.scores.vocabulary, fused_piece);
    if (number == 0) shared.maximum.put(at.thread, read(a.request.scores, at, mine));
    if (number == 1) shared.maximum.gather(at.thread);
    if (number == 2) shared.sum.put(at.thread, exponentials(a.request.scores, at, shared.maximum.all(), mine));
    if (number == 3) shared.sum.gather(at.thread);
    if (number == 4 && at.thread == 0) {
      row.pieces[at.y].extreme = shared.maximum.all();
      row.pieces[at.y].sum = shared.sum.all();
      fence();
      shared.last = comes_last(&row.ticket, pieces);
    }
    if (number < 5 || !shared.last) return;
    if (number == 5) shared.maximum.put(at.thread, largest_of(at.thread, row, pieces));
    if (number == 6) shared.maximum.gather(at.thread);
    if (number == 7) shared.sum.put(at.thread, take(at.thread, row, pieces, shared.maximum.all()));
    if (number == 8) shared.sum.gather(at.thread);
    if (number == 9 && at.thread == 0) write(a, at.x, shared.maximum.all() + log(shared.sum.all()));
  }

 private:
  CMC_BODY static float read(const FusedScores& a, const Place& at, Private& mine) {
    fused_scores(a, a.term_count, at.x, at.y * fused_piece + at.thread * fused_each, mine.score);
    float maximum = -INFINITY;
    for (int i = 0; i < fused_each; ++i) maximum = mine.score[i] > maximum ? mine.score[i] : maximum;
    return maximum;
  }
  CMC_BODY static double exponentials(const FusedScores& a, const Place& at, float maximum, const Private& mine) {
    const int64_t first = at.y * fused_piece + at.thread * fused_each;
    double sum = 0.0;
    for (int i = 0; i < fused_each; ++i)
      if (first + i < a.vocabulary && mine.score[i] != -INFINITY)
        sum += static_cast<double>(expf(mine.score[i] - maximum));
    return sum;
  }

  CMC_BODY static float largest_of(int thread, const FusedRow& row, int64_t pieces) {
    float maximum = -INFINITY;
    for (int64_t p = thread; p < pieces; p += threads) maximum = larger(maximum, read_fresh(&row.pieces[p].extreme));
    return maximum;
  }
  // This thread's pieces relative to the maximum of all; they are empty again.
  CMC_BODY static double take(int thread, FusedRow& row, int64_t pieces, float maximum) {
    double sum = 0.0;
    for (int64_t p = thread; p < pieces; p += threads) {
      const double part = read_fresh(&row.pieces[p].sum);
      if (part != 0.0) sum += part * exp(static_cast<double>(read_fresh(&row.pieces[p].extreme)) - maximum);
      row.pieces[p] = {};
    }
    return sum;
  }

  CMC_BODY static void write(const LogSum& a, int64_t number, double log_sum) {
    if (a.term >= 0) {
      row_of(a.request.scores, number).offset[a.term] = static_cast<float>(log_sum);
      return;
    }
    float score[1];
    fused_scores(a.request.scores, a.request.scores.term_count, number, a.request.tokens[number], score);
    a.request.out[number] = static_cast<float>(score[0] - log_sum);
  }
};

struct Fill {
  FusedScores scores;
  int term = 0;
};

// What unmapped tokens of each row get from a term: the smallest or the mean of the logits that others have.
struct FillBody {
  using Arguments = Fill;
  static constexpr int threads = fused_threads;
  struct Shared {
    Joined<float, threads, Smallest> smallest;
    Joined<double, threads, Sum> sum;
    Joined<uint64_t, threads, Sum> count;
    bool last;
  };
  struct Private {};

  static Grid grid(const Fill& a) { return {a.scores.rows, pieces_of(a.scores.vocabulary, fused_piece)}; }
  CMC_BODY static int phases(const Fill&, const Place&) { return 6; }
  CMC_BODY static void phase(int number, const Fill& a, const Place& at, Shared& shared, Private&) {
    FusedRow& row = row_of(a.scores, at.x);
    const int64_t pieces = pieces_of(a.scores.vocabulary, fused_piece);
    if (number == 0) put(at.thread, look(a, at, row), shared);
    if (number == 1 || number == 4) gather(at.thread, shared);
    if (number == 2 && at.thread == 0) {
      row.pieces[at.y] = all(shared);
      fence();
      shared.last = comes_last(&row.ticket, pieces);
    }
    if (number < 3 || !shared.last) return;
    if (number == 3) put(at.thread, take(at.thread, row, pieces), shared);
    if (number == 5 && at.thread == 0) row.fill[a.term] = value(a.scores.terms[a.term].unmapped, all(shared));
  }

 private:
  CMC_BODY static void put(int thread, const FusedPiece& piece, Shared& shared) {
    shared.smallest.put(thread, piece.extreme);
    shared.sum.put(thread, piece.sum);
    shared.count.put(thread, piece.weight);
  }
  CMC_BODY static void gather(int thread, Shared& shared) {
    shared.smallest.gather(thread);
    shared.sum.gather(thread);
    shared.count.gather(thread);
  }
  CMC_BODY static FusedPiece all(const Shared& shared) {
    return {shared.sum.all(), shared.count.all(), 0, shared.smallest.all()};
  }

  // The logits of this thread's tokens.
  CMC_BODY static FusedPiece look(const Fill& a, const Place& at, const FusedRow& row) {
    const FusedTerm& term = a.scores.terms[a.term];
    const int64_t first = at.y * fused_piece + at.thread * fused_each, k = row_in(term, at.x);
    FusedPiece piece = {0.0, 0, 0, INFINITY};
    if (k < 0) return piece;
    const float offset = term.log_softmax ? row_of(a.scores, k).offset[a.term] : 0.0f;
    for (int64_t v = first; v < smaller(first + fused_each, a.scores.vocabulary); ++v) {
      const float base = a.scores.base[at.x * a.scores.vocabulary + v];
      float logit = 0.0f;
      if (!delta_logit(term, row, a.term, term.logits + k * term.width, offset, base, v, logit)) continue;
      piece.sum += static_cast<double>(logit);
      ++piece.weight;
      piece.extreme = smaller(piece.extreme, logit);
    }
    return piece;
  }
  CMC_BODY static FusedPiece take(int thread, FusedRow& row, int64_t pieces) {
    FusedPiece sum = {0.0, 0, 0, INFINITY};
    for (int64_t p = thread; p < pieces; p += threads) {
      sum.sum += read_fresh(&row.pieces[p].sum);
      sum.weight += read_fresh(&row.pieces[p].weight);
      sum.extreme = smaller(sum.extreme, read_fresh(&row.pieces[p].extreme));
      row.pieces[p] = {};
    }
    return sum;
  }
  CMC_BODY static float value(Unmapped unmapped, const FusedPiece& found) {
    if (found.weight == 0) return 0.0f;
    return unmapped == Unmapped::minimum ? found.extreme
                                         : static_cast<float>(found.sum / static_cast<double>(found.weight));
  }
};

}  // namespace cmc::kernels
