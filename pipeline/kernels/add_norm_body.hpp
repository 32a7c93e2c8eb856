#pragma once
#include "pipeline/kernels/add_norm.hpp"
#include "pipeline/kernels/numbers.hpp"

namespace cmc::kernels {

// A block for each row.
template <class T>
struct AddNormBody {
  using Arguments = AddNorm;
  static constexpr int threads = 256;
  struct Shared {
    Joined<float, threads, Sum> squares;
  };
  struct Private {};

  static Grid grid(const AddNorm& a) { return {a.rows}; }
  // Steps 0 and 1 are for the branch's norm, 3 and 4 for the residual's.
  CMC_BODY static int phases(const AddNorm& a, const Place&) { return (a.weight != nullptr ? 5 : 3) - first_step(a); }
  CMC_BODY static void phase(int number, const AddNorm& a, const Place& at, Shared& shared, Private&) {
    const T *branch = static_cast<const T*>(a.branch), *weight = static_cast<const T*>(a.weight);
    if (packs(branch, a.width) && packs(weight, a.width) && packs(static_cast<const T*>(a.branch_weight), a.width) &&
        packs(static_cast<const T*>(a.residual), a.width) && packs(static_cast<const T*>(a.out), a.width))
      step<pack_size<T>>(number + first_step(a), a, at, shared);
    else
      step<1>(number + first_step(a), a, at, shared);
  }

 private:
  CMC_BODY static int first_step(const AddNorm& a) { return a.branch != nullptr && a.branch_weight != nullptr ? 0 : 2; }

  template <int N>
  CMC_BODY static void step(int number, const AddNorm& a, const Place& at, Shared& shared) {
    if (number == 0) shared.squares.put(at.thread, branch_squares<N>(a, at));
    if (number == 1 || number == 3) shared.squares.gather(at.thread);
    if (number == 2) {
      const float scale = first_step(a) == 0 ? inverse_root(shared.squares.all(), a.width, a.epsilon) : 0.0f;
      const float squares = add<N>(a, at, scale);
      // Every thread has read the branch's squares by the time any puts: gather wrote what `all` reads, put writes
      // `each`.
      shared.squares.put(at.thread, squares);
    }
    if (number == 4) norm<N>(a, at, inverse_root(shared.squares.all(), a.width, a.epsilon));
  }

  template <int N>
  CMC_BODY static float branch_squares(const AddNorm& a, const Place& at) {
    const T* branch = static_cast<const T*>(a.branch) + at.x * a.width;
    float squares = 0.0f;
    for (int64_t i = at.thread * N; i < a.width; i += threads * N) {
      float x[N];
      load<N>(branch + i, x);
      for (int j = 0; j < N; ++j) squares += x[j] * x[j];
    }
    return squares;
  }

  // residual += branch; → this thread's squares of the sum.
  template <int N>
  CMC_BODY static float add(const AddNorm& a, const Place& at, float branch_scale) {
    T* residual = static_cast<T*>(a.residual) + at.x * a.width;
    const T* branch = a.branch == nullptr ? nullptr : static_cast<const T*>(a.branch) + at.x * a.width;
    const T* weight = static_cast<const T*>(a.branch_weight);
    float squares = 0.0f;
    for (int64_t i = at.thread * N; i < a.width; i += threads * N) {
      float x[N], y[N], w[N];
      load<N>(residual + i, x);
      if (branch != nullptr) {
        load<N>(branch + i, y);
        if (weight != nullptr) {
          load<N>(weight + i, w);
          for (int j = 0; j < N; ++j) y[j] = scaled<T>(y[j] * branch_scale, w[j], a.adds_one);
        }
        for (int j = 0; j < N; ++j) x[j] = rounded<T>(x[j] + y[j]);
        store<N>(x, residual + i);
      }
      for (int j = 0; j < N; ++j) squares += x[j] * x[j];
    }
    return squares;
  }

  template <int N>
  CMC_BODY static void norm(const AddNorm& a, const Place& at, float scale) {
    const T *residual = static_cast<const T*>(a.residual) + at.x * a.width, *weight = static_cast<const T*>(a.weight);
    T* out = static_cast<T*>(a.out) + at.x * a.width;
    for (int64_t i = at.thread * N; i < a.width; i += threads * N) {
      float x[N], w[N];
      load<N>(residual + i, x);
      load<N>(weight + i, w);
      for (int j = 0; j < N; ++j) x[j] = scaled<T>(x[j] * scale, w[j], a.adds_one);
      store<N>(x, out + i);
    }
  }
};

}  // namespace cmc::kernels
