#include "pipeline/checkpoint/pickle_stack.hpp"

namespace cmc::checkpoint {

namespace {

// Values count four, places in containers, on the stack and in the memo one each: about a hundred for each tensor.
constexpr size_t most_parts = size_t{1} << 23;
constexpr size_t parts_of_value = 4;

}  // namespace

void PickleStack::charge(size_t parts) {
  spent_ += parts;
  if (spent_ > most_parts) input_.fail("holds more than weights need");
}

void PickleStack::push(PickleId id) {
  charge(1);
  stack_.push_back(id);
}

void PickleStack::push(PickleValue value) {
  charge(parts_of_value + value.items.size());
  pickle_.values.push_back(std::move(value));
  push(static_cast<PickleId>(pickle_.values.size() - 1));
}

PickleId PickleStack::top() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) input_.fail("takes from an empty stack");
  return stack_.back();
}

PickleId PickleStack::pop() {
  const PickleId id = top();
  stack_.pop_back();
  return id;
}

std::string_view PickleStack::keep(std::string text) {
  charge(parts_of_value + text.size() / 8);
  return pickle_.decoded.emplace_back(std::move(text));
}

void PickleStack::mark() {
  charge(1);
  marks_.push_back(stack_.size());
}

std::vector<PickleId> PickleStack::pop_to_mark() {
  if (marks_.empty()) input_.fail("has no mark where one is needed");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<PickleId> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

std::vector<PickleId> PickleStack::pop_some(size_t count) {
  std::vector<PickleId> items(count);
  for (size_t i = count; i > 0; --i) items[i - 1] = pop();
  return items;
}

void PickleStack::pop_or_unmark() {
  if (!marks_.empty() && marks_.back() == stack_.size())
    marks_.pop_back();
  else
    pop();
}

void PickleStack::extend(PickleKind kind, const std::vector<PickleId>& items) {
  PickleValue& container = pickle_.values[top()];
  if (container.kind != kind) input_.fail("puts items into what is no container");
  if (kind == PickleKind::dict && items.size() % 2 != 0) input_.fail("puts a key without a value");
  charge(items.size());
  container.items.insert(container.items.end(), items.begin(), items.end());
}

void PickleStack::remember(uint64_t place) {
  charge(1);
  memo_[place] = top();
}

void PickleStack::recall(uint64_t place) {
  const auto found = memo_.find(place);
  if (found == memo_.end()) input_.fail("recalls what it has not put into its memo");
  push(found->second);
}

Pickle PickleStack::finish() {
  pickle_.root = pop();
  pickle_.bytes = input_.at();
  return std::move(pickle_);
}

}  // namespace cmc::checkpoint
