#pragma once
#include "pipeline/kernels/add_norm.hpp"
#include "pipeline/kernels/numbers.hpp"

namespace cmc::kernels {

// One number of a row normed: mean and inverse root of the variance are the row's.
template <class T>
CMC_BODY float normed(const NormOf& norm, float x, float mean, float scale, int64_t i) {
  const T *weight = static_cast<const T*>(norm.weight), *bias = static_cast<const T*>(norm.bias);
  float y = (x - mean) * scale;
  if (!norm.rounds_last) y = rounded<T>(y);
  if (weight != nullptr) y *= norm.adds_one ? wide(weight[i]) + 1.0f : wide(weight[i]);
  if (bias != nullptr) y = (norm.rounds_last ? y : rounded<T>(y)) + wide(bias[i]);
  return rounded<T>(y);
}

// A block for each row.
template <class T>
struct AddNormBody {
  using Arguments = AddNorm;
  static constexpr int threads = 256;
  struct Shared {
    Joined<float, threads, Sum> sums, squares;
  };
  struct Private {};
  // In this order, each between barriers; a norm that is not there, or not centred, leaves its own out.
  enum Step { branch_sum, branch_mean, branch_squares, branch_root, add, sum, squares, root, norm, step_count };

  static Grid grid(const AddNorm& a) { return {a.rows}; }
  CMC_BODY static int phases(const AddNorm& a, const Place&) {
    int count = 0;
    for (int step = 0; step < step_count; ++step) count += takes(a, step) ? 1 : 0;
    return count;
  }
  CMC_BODY static void phase(int number, const AddNorm& a, const Place& at, Shared& shared, Private&) {
    int step = 0;
    while (!takes(a, step) || number-- > 0) ++step;
    const T* branch = static_cast<const T*>(a.branch);
    if (packs(branch, a.width) && packs(static_cast<const T*>(a.residual), a.width) &&
        packs(static_cast<const T*>(a.out), a.width))
      run<pack_size<T>>(step, a, at, shared);
    else
      run<1>(step, a, at, shared);
  }

 private:
  CMC_BODY static bool takes(const AddNorm& a, int step) {
    const bool of_branch = a.branch != nullptr && a.branch_norm.is_there;
    if (step < branch_squares) return of_branch && a.branch_norm.centred;
    if (step < add) return of_branch;
    if (step == add) return true;
    if (step == sum) return a.norm.is_there;
    if (step == squares) return a.norm.is_there && a.norm.centred;
    if (step == root) return a.norm.is_there && a.norm.centred;
    return a.norm.is_there;
  }

  // What was put into one of the two is read from what gather wrote, so that putting into the other, or again into the
  // same after a barrier, disturbs nobody.
  template <int N>
  CMC_BODY static void run(int step, const AddNorm& a, const Place& at, Shared& shared) {
    const T* branch = a.branch == nullptr ? nullptr : static_cast<const T*>(a.branch) + at.x * a.width;
    const T* residual = static_cast<const T*>(a.residual) + at.x * a.width;
    switch (step) {
      case branch_sum:
        return shared.sums.put(at.thread, sum_of<N>(branch, a.width, at.thread));
      case branch_squares:
        return shared.squares.put(at.thread, squares_of<N>(branch, mean(a.branch_norm, a, shared), a.width, at.thread));
      case branch_mean:
        return shared.sums.gather(at.thread);
      case branch_root:
      case root:
        return shared.squares.gather(at.thread);
      case add:
        return add_branch<N>(a, at, shared);
      case sum:
        return a.norm.centred ? shared.sums.gather(at.thread) : shared.squares.gather(at.thread);
      case squares:
        return shared.squares.put(at.thread, squares_of<N>(residual, mean(a.norm, a, shared), a.width, at.thread));
      default:
        return write<N>(a, at, mean(a.norm, a, shared), inverse_root(shared.squares.all(), a.width, a.norm.epsilon));
    }
  }

  CMC_BODY static float mean(const NormOf& norm, const AddNorm& a, const Shared& shared) {
    return norm.centred ? shared.sums.all() / static_cast<float>(a.width) : 0.0f;
  }

  template <int N>
  CMC_BODY static float sum_of(const T* row, int64_t width, int thread) {
    float sum = 0.0f;
    for (int64_t i = thread * N; i < width; i += threads * N) {
      float x[N];
      load<N>(row + i, x);
      for (int j = 0; j < N; ++j) sum += x[j];
    }
    return sum;
  }

  template <int N>
  CMC_BODY static float squares_of(const T* row, float mean, int64_t width, int thread) {
    float squares = 0.0f;
    for (int64_t i = thread * N; i < width; i += threads * N) {
      float x[N];
      load<N>(row + i, x);
      for (int j = 0; j < N; ++j) squares += (x[j] - mean) * (x[j] - mean);
    }
    return squares;
  }

  // residual += branch; puts this thread's part of what the norm needs first: the sum, or the squares.
  template <int N>
  CMC_BODY static void add_branch(const AddNorm& a, const Place& at, Shared& shared) {
    T* residual = static_cast<T*>(a.residual) + at.x * a.width;
    const T* branch = a.branch == nullptr ? nullptr : static_cast<const T*>(a.branch) + at.x * a.width;
    const bool norms = branch != nullptr && a.branch_norm.is_there;
    const float mean_of_branch = norms ? mean(a.branch_norm, a, shared) : 0.0f;
    const float scale = norms ? inverse_root(shared.squares.all(), a.width, a.branch_norm.epsilon) : 0.0f;
    float sum = 0.0f;
    for (int64_t i = at.thread * N; i < a.width; i += threads * N) {
      float x[N], y[N];
      load<N>(residual + i, x);
      if (branch != nullptr) {
        load<N>(branch + i, y);
        for (int j = 0; j < N; ++j) {
          if (norms) y[j] = normed<T>(a.branch_norm, y[j], mean_of_branch, scale, i + j);
          if (a.branch_scale != 1.0f) y[j] = rounded<T>(y[j] * a.branch_scale);
          x[j] = rounded<T>(x[j] + y[j]);
        }
        store<N>(x, residual + i);
      }
      for (int j = 0; j < N; ++j) sum += a.norm.centred ? x[j] : x[j] * x[j];
    }
    if (a.norm.centred)
      shared.sums.put(at.thread, sum);
    else
      shared.squares.put(at.thread, sum);
  }

  template <int N>
  CMC_BODY static void write(const AddNorm& a, const Place& at, float mean, float scale) {
    const T* residual = static_cast<const T*>(a.residual) + at.x * a.width;
    T* out = static_cast<T*>(a.out) + at.x * a.width;
    for (int64_t i = at.thread * N; i < a.width; i += threads * N) {
      float x[N];
      load<N>(residual + i, x);
      for (int j = 0; j < N; ++j) x[j] = normed<T>(a.norm, x[j], mean, scale, i + j);
      store<N>(x, out + i);
    }
  }
};

}  // namespace cmc::kernels
