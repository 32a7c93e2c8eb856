#include "pipeline/text/oniguruma.hpp"

#include <cctype>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/text/property_members.hpp"

namespace cmc::text {
namespace {

constexpr const char* white_space =
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";

constexpr const char* not_white_space =
    "\\x{0}-\\x08\\x0E-\\x1F!-\\x{84}\\x{86}-\\x{9F}\\x{A1}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}"
    "\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{10FFFF}";

// \\w: letters, marks, decimal digits, letter numbers, connectors, and the other alphabetic symbols
constexpr const char* word_members =
    "\\x{B2}-\\x{B3}\\x{B9}\\x{BC}-\\x{BE}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{"
    "1F189}";

std::string word_set() {
  std::string members;
  for (const char* name : {"L", "M", "Nd", "Nl", "Pc"}) members += members_of_property(name).value();
  return members + word_members;
}

class Translator {
 public:
  Translator(const std::string& expression, const std::string& where) : from_(expression), where_(where) {}

  std::string translate() {
    while (at_ < from_.size()) step();
    return std::move(to_);
  }

 private:
  void step() {
    const char c = from_[at_];
    if (c == '{') return repeat();
    if (c == ')' && !groups_.empty()) {
      atom_ = groups_.back();
      groups_.pop_back();
    } else {
      if (std::string_view("*+?").find(c) == std::string_view::npos) atom_ = to_.size();
      if (c == '(') groups_.push_back(to_.size());
    }
    if (c == '\\' && at_ + 1 < from_.size()) return escape();
    if (c == '[') {
      const auto [members, negated] = set();
      to_ += atom(members, negated);
      return;
    }
    to_ += c;
    ++at_;
  }

  // The union of a set's own members and of what one-character expressions match.
  struct Set {
    std::string members;
    std::vector<std::string> others;
  };

  static std::string atom(const Set& set, bool negated) {
    if (set.others.empty()) return (negated ? "[^" : "[") + set.members + "]";
    std::string choices = set.members.empty() ? "" : "[" + set.members + "]";
    for (const auto& other : set.others) (choices += choices.empty() ? "" : "|") += other;
    return negated ? "(?:(?!" + choices + ")(?s:.))" : "(?:" + choices + ")";
  }

  // [a&&b]: what every operand holds.
  static Set intersection(const std::vector<Set>& operands) {
    if (operands.size() == 1) return operands.front();
    std::string both = "(?:";
    for (const Set& operand : operands)
      both += &operand == &operands.back() ? atom(operand, false) + ")" : "(?=" + atom(operand, false) + ")";
    return {"", {both}};
  }

  // From the opening bracket on; whether it is negated.
  std::pair<Set, bool> set() {
    ++at_;
    const bool negated = at_ < from_.size() && from_[at_] == '^';
    at_ += negated;
    const std::string outside = std::exchange(to_, "");
    const bool was_in_set = std::exchange(in_set_, true);
    std::vector<Set> operands(1);
    const auto end_operand = [&] { operands.back().members = std::exchange(to_, ""); };
    if (at_ < from_.size() && from_[at_] == ']') to_ += "\\]", ++at_;
    for (;; member(operands.back())) {
      if (at_ >= from_.size()) refuse("a set without its closing bracket");
      if (from_[at_] == ']') break;
      if (from_.compare(at_, 2, "&&") != 0) continue;
      end_operand();
      operands.emplace_back();
      at_ += 2;
    }
    ++at_;
    end_operand();
    to_ = outside;
    in_set_ = was_in_set;
    return {intersection(operands), negated};
  }

  void member(Set& operand) {
    const char c = from_[at_];
    if (c == ']' || from_.compare(at_, 2, "&&") == 0) return;
    if (c == '\\' && at_ + 1 < from_.size()) return escape();
    if (c == '[' && from_.compare(at_, 2, "[:") == 0 && from_.find(":]", at_) != std::string::npos) return posix();
    if (c == '[') return add(operand, set());
    to_ += c;
    ++at_;
  }

  void add(Set& operand, const std::pair<Set, bool>& nested) {
    const auto& [inner, negated] = nested;
    if (negated) return operand.others.push_back(atom(inner, true));
    to_ += inner.members;
    operand.others.insert(operand.others.end(), inner.others.begin(), inner.others.end());
  }

  void posix() {
    const size_t end = from_.find(":]", at_);
    std::string name = from_.substr(at_ + 2, end - at_ - 2);
    const bool negated = name.starts_with('^');
    if (negated) name.erase(0, 1);
    at_ = end + 2;
    if (name == "punct" && !negated) put_property("S", false);  // in brackets it holds the symbols, too
    put_property(name, negated);
  }

  void set_of(const std::string& members, bool negated) {
    if (in_set_)
      to_ += members;
    else
      to_ += (negated ? "[^" : "[") + members + "]";
  }

  void escape() {
    const char kind = from_[at_ + 1];
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(kind)));
    const bool negated = kind != lower;
    if (lower == 's' || lower == 'h' || lower == 'w' || lower == 'd') {
      at_ += 2;
      if (lower == 'd') return put_property("Nd", negated);
      if (lower == 's' && negated && in_set_) return set_of(not_white_space, false);
      if (negated && in_set_) refuse(std::string("\\") + kind + " in a set");
      return set_of(lower == 's' ? white_space : lower == 'h' ? "0-9a-fA-F" : word_set(), negated);
    }
    if (lower == 'p' && at_ + 2 < from_.size() && from_[at_ + 2] == '{') return property();
    const auto is_hex = [&](size_t i) {
      return i < from_.size() && std::isxdigit(static_cast<unsigned char>(from_[i]));
    };
    if (kind == 'u' && is_hex(at_ + 2) && is_hex(at_ + 3) && is_hex(at_ + 4) && is_hex(at_ + 5)) {
      to_ += "\\x{" + from_.substr(at_ + 2, 4) + "}";
      at_ += 6;
      return;
    }
    to_ += from_.substr(at_, 2);
    at_ += 2;
    // \x{…} and the like: their braces are no repetition
    if (kind == 'x' && at_ < from_.size() && from_[at_] == '{') copy_through('}');
  }

  void property() {
    const size_t end = from_.find('}', at_);
    if (end == std::string::npos) refuse("a property without its closing brace");
    std::string name = from_.substr(at_ + 3, end - at_ - 3);
    bool negated = from_[at_ + 1] == 'P';
    if (!name.empty() && name[0] == '^') negated = !negated, name.erase(0, 1);
    at_ = end + 1;
    put_property(name, negated);
  }

  void put_property(const std::string& name, bool negated) {
    const auto members = members_of_property(name);
    if (!members) refuse("the property " + name);
    if (!negated || !in_set_) return set_of(*members, negated);
    const auto outside = members_outside_property(name);
    if (!outside) refuse("everything but the property " + name + " in a set");
    set_of(*outside, false);
  }

  void copy_through(char last) {
    const size_t end = from_.find(last, at_);
    const size_t length = (end == std::string::npos ? from_.size() : end + 1) - at_;
    to_ += from_.substr(at_, length);
    at_ += length;
  }

  void repeat() {
    size_t end = at_ + 1;
    while (end < from_.size() && (std::isdigit(static_cast<unsigned char>(from_[end])) || from_[end] == ',')) ++end;
    const bool counts = end > at_ + 1 && end < from_.size() && from_[end] == '}';
    if (!counts) {
      to_ += "\\{";
      ++at_;
      return;
    }
    const std::string body = from_.substr(at_ + 1, end - at_ - 1);
    to_ += body[0] == ',' ? "{0" + body + "}" : "{" + body + "}";
    at_ = end + 1;
    if (at_ < from_.size() && from_[at_] == '+') {
      to_ = to_.substr(0, atom_) + "(?:" + to_.substr(atom_) + ")+";
      ++at_;
    }
  }

  [[noreturn]] void refuse(const std::string& what) {
    throw BadData(
        {where_, "uses " + what + ", which this reader does not know: " + from_, "write the pattern with plain sets"});
  }

  const std::string& from_;
  const std::string& where_;
  std::string to_;
  size_t at_ = 0;
  size_t atom_ = 0;             // where in to_ the last thing that can be repeated begins
  std::vector<size_t> groups_;  // where in to_ the open groups begin
  bool in_set_ = false;
};

}  // namespace

std::string pcre2_of_oniguruma(const std::string& expression, const std::string& where) {
  return Translator(expression, where).translate();
}

}  // namespace cmc::text
