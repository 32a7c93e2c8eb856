#pragma once
#include <torch/types.h>

#include <cstring>
#include <span>
#include <vector>

namespace cmc::fusion {

// Numbers of several types on their way to a device in one copy.
class PackedNumbers {
 public:
  // Where numbers stand: `count` of them from word `at` on.
  struct Place {
    int64_t at = 0, count = 0;
  };
  template <class Number>
  Place add(std::span<const Number> numbers) {
    constexpr size_t size = sizeof(Number) / sizeof(int32_t);
    const size_t at = (words_.size() + size - 1) / size * size;
    words_.resize(at + numbers.size() * size);
    std::memcpy(words_.data() + at, numbers.data(), numbers.size_bytes());
    return {static_cast<int64_t>(at), static_cast<int64_t>(numbers.size())};
  }
  std::span<const int32_t> words() const { return words_; }

 private:
  std::vector<int32_t> words_;
};

// The numbers of a place where the device has the words. A view.
template <class Number>
torch::Tensor numbers_at(const torch::Tensor& words, PackedNumbers::Place place) {
  constexpr int64_t size = sizeof(Number) / sizeof(int32_t);
  return words.narrow(0, place.at, place.count * size).view(c10::CppTypeToScalarType<Number>::value);
}

}  // namespace cmc::fusion
