#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "pipeline/core/random.hpp"
#include "pipeline/kernels/host_run.hpp"
#include "pipeline/kernels/numbers.hpp"
#include "pipeline/kernels/queue.hpp"

namespace cmc::kernels::tests {

// Some blocks under way at once, a drawn one goes on to its next barrier, its threads in a drawn order.
struct Drawn {
  explicit Drawn(uint64_t seed) : random(seed) {}
  static constexpr size_t blocks = 5;
  size_t block(size_t count) { return random.below(count); }
  void threads(std::vector<int>& order) { shuffle(order, random); }
  Random random;
};

// Runs bodies in drawn orders.
struct Host {
  uint64_t seed = 1;
  template <class Body>
  void pass(const typename Body::Arguments& arguments) const {
    run_on_host<Body>(arguments, Drawn(seed));
  }
};

template <class T>
inline constexpr Type type_of = sizeof(T) == 4 ? Type::float32 : Type::bfloat16;

// `count` numbers, normally distributed; as many bytes before the first as shift it from 16 byte boundaries.
template <class T>
std::vector<T> normal(int64_t count, uint64_t seed, double scale = 1.0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> number(0.0, scale);
  std::vector<T> values(static_cast<size_t>(count));
  for (auto& value : values) value = narrow<T>(static_cast<float>(number(random)));
  return values;
}

template <class T>
std::vector<T> poisoned(int64_t count) {
  return std::vector<T>(static_cast<size_t>(count), narrow<T>(std::numeric_limits<float>::quiet_NaN()));
}

template <class T>
double number(const std::vector<T>& values, int64_t i) {
  return wide(values[static_cast<size_t>(i)]);
}

// x as T rounds it, in double.
template <class T>
double to(double x) {
  return wide(narrow<T>(static_cast<float>(x)));
}

// Whether `actual` is what T rounds some number to that lies from a to b, or within a relative `error` of them.
template <class T>
bool between(double actual, double a, double b, double error) {
  const double low = std::min(a, b), high = std::max(a, b);
  return to<T>(low - error * std::abs(low)) <= actual && actual <= to<T>(high + error * std::abs(high));
}
template <class T>
bool rounds(double actual, double expected, double error) {
  return between<T>(actual, expected, expected, error);
}

}  // namespace cmc::kernels::tests
