#pragma once
#include <unordered_map>

#include "pipeline/checkpoint/pickle_bytes.hpp"
#include "pipeline/checkpoint/pickle_value.hpp"

namespace cmc::checkpoint {

// What a pickle's instructions work on: a stack of values, marks on it, a memo. Each misuse is the pickle's fault and
// throws BadData; so does a pickle that makes more of it than weights need.
class PickleStack {
 public:
  explicit PickleStack(const PickleBytes& input) : input_(input) {}

  void push(PickleId id);
  void push(PickleValue value);  // a new one
  PickleId pop();
  PickleId top() const;
  const PickleValue& value(PickleId id) const { return pickle_.values[id]; }
  // The texts of the pickle that are not in it as they are.
  std::string_view keep(std::string text);

  void mark();
  std::vector<PickleId> pop_to_mark();
  std::vector<PickleId> pop_some(size_t count);
  void pop_or_unmark();
  // Puts items into the container on top of the stack, which is of this kind.
  void extend(PickleKind kind, const std::vector<PickleId>& items);

  void remember(uint64_t place);  // what is on top
  void remember_next() { remember(memo_.size()); }
  void recall(uint64_t place);

  void charge(size_t parts);
  Pickle finish();  // what is on top is the pickle's value

 private:
  const PickleBytes& input_;
  Pickle pickle_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleId> memo_;
  size_t spent_ = 0;
};

}  // namespace cmc::checkpoint
