#include "pipeline/ifeval/instruction.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/core/named_enum.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::ifeval {
namespace {

constexpr NamedEnum relations("relation", std::to_array<Named<Relation>>({{Relation::less_than, "less than"},
                                                                          {Relation::at_least, "at least"}}));

const RuleRow& row_of(const data::IfevalInstruction& given) {
  const auto found = std::ranges::find(rules(), given.id, &RuleRow::id);
  if (found != rules().end()) return *found;
  std::string known;
  for (const auto& id : known_ids()) known += (known.empty() ? "" : ", ") + id;
  throw BadData(
      {given.where, "belongs to the instruction " + given.id + ", which is not known", "use one of " + known});
}

void expect_text(const Kwargs& kwargs, const std::string& name, const std::string& text) {
  if (data::is_blank(text)) kwargs.refuse(name, "is empty", "give a text");
}

void expect_type(const Kwargs& kwargs, const std::string& name, const data::IfevalInstruction::Value& value,
                 KwargType type) {
  using Texts = std::vector<std::string>;
  switch (type) {
    case KwargType::text:
      if (!std::holds_alternative<std::string>(value)) kwargs.refuse(name, "is no text", "give a string");
      return expect_text(kwargs, name, std::get<std::string>(value));
    case KwargType::relation:
      if (!std::holds_alternative<std::string>(value)) kwargs.refuse(name, "is no text", "give less than, or at least");
      kwargs.relation(name);
      return;
    case KwargType::texts:
      if (!std::holds_alternative<Texts>(value)) kwargs.refuse(name, "is no list of texts", "give a list of strings");
      return;
    case KwargType::count:
      if (!std::holds_alternative<int64_t>(value)) kwargs.refuse(name, "is no number", "give a whole number");
      if (std::get<int64_t>(value) < 0) kwargs.refuse(name, "is negative", "give 0 or more");
      return;
  }
}

void expect_kwargs(const data::IfevalInstruction& given, const RuleRow& row) {
  const Kwargs kwargs(given);
  for (const auto& [name, value] : given.kwargs)
    if (std::ranges::find(row.kwargs, name, &Kwarg::name) == row.kwargs.end())
      kwargs.refuse(name, "is nothing that " + given.id + " takes", "leave it out, or set it to null");
  for (const auto& [name, type] : row.kwargs) {
    const auto value = given.kwargs.find(std::string(name));
    if (value == given.kwargs.end())
      kwargs.refuse(std::string(name), "is missing", given.id + " needs it: the authors' program would draw one");
    expect_type(kwargs, value->first, value->second, type);
  }
}

// The lines from `first` on, without the last `left` ones.
std::string_view lines(std::string_view text, bool without_first, bool without_last) {
  const size_t begin = without_first ? text.find('\n') : 0;
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + (without_first ? 1 : 0));
  if (!without_last) return text;
  const size_t end = text.rfind('\n');
  return end == std::string_view::npos ? std::string_view{} : text.substr(0, end);
}

}  // namespace

Relation Kwargs::relation(const std::string& name) const {
  if (const auto found = relations.find(text(name))) return *found;
  refuse(name, "is \"" + text(name) + "\"", "give less than, or at least");
}

void Kwargs::refuse(const std::string& name, const std::string& what, const std::string& remedy) const {
  throw BadData({where(name), what, remedy});
}

Instruction::Instruction(const data::IfevalInstruction& given) : id_(given.id) {
  const RuleRow& row = row_of(given);
  expect_kwargs(given, row);
  check_ = row.check(Kwargs(given));
}

bool Instruction::follows(std::string_view response) const {
  return !data::is_blank(response) && check_(response);
}

Verdict Instruction::verdict(std::string_view response) const {
  const std::string valid = replace_invalid_utf8(response);
  const bool strict = follows(valid);
  if (strict) return {true, true};
  for (const bool without_first : {false, true})
    for (const bool without_last : {false, true}) {
      const bool whole = !without_first && !without_last;
      std::string variant(whole ? valid : data::strip(lines(valid, without_first, without_last)));
      if (!whole && follows(variant)) return {false, true};
      std::erase(variant, '*');
      if (follows(variant)) return {false, true};
    }
  return {};
}

std::vector<Instruction> instructions_of(const data::IfevalItem& item) {
  return {item.instructions.begin(), item.instructions.end()};
}

std::vector<std::string> known_ids() {
  std::vector<std::string> ids;
  for (const auto& row : rules()) ids.emplace_back(row.id);
  std::ranges::sort(ids);
  return ids;
}

}  // namespace cmc::ifeval
