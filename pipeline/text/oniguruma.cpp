#include "pipeline/text/oniguruma.hpp"

#include <cctype>
#include <map>
#include <string_view>
#include <vector>

#include "pipeline/core/error.hpp"

namespace cmc::text {
namespace {

constexpr const char* white_space =
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";

// \\w: letters, marks, decimal digits, letter numbers, connectors, and the other alphabetic symbols
constexpr const char* word_members =
    "\\x{B2}-\\x{B3}\\x{B9}\\x{BC}-\\x{BE}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{"
    "1F189}";

// Code points that Unicode 15.0, 15.1 and 16.0 added to a general category (DerivedGeneralCategory.txt).
const std::map<std::string, std::string>& newer_members() {
  static const std::map<std::string, std::string> members = [] {
    std::map<std::string, std::string> of;
    of["Lu"] = "\\x{1C89}\\x{A7CB}-\\x{A7CC}\\x{A7DA}\\x{A7DC}\\x{10D50}-\\x{10D65}";
    of["Ll"] = "\\x{1C8A}\\x{A7CD}\\x{A7DB}\\x{10D70}-\\x{10D85}\\x{1DF25}-\\x{1DF2A}";
    of["Lm"] = "\\x{10D4E}\\x{10D6F}\\x{16D40}-\\x{16D42}\\x{16D6B}-\\x{16D6C}\\x{1E030}-\\x{1E06D}\\x{1E4EB}";
    of["Lo"] =
        "\\x{105C0}-\\x{105F3}\\x{10D4A}-\\x{10D4D}\\x{10D4F}\\x{10EC2}-\\x{10EC4}\\x{1123F}-\\x{11240}"
        "\\x{11380}-\\x{11389}\\x{1138B}\\x{1138E}\\x{11390}-\\x{113B5}\\x{113B7}\\x{113D1}\\x{113D3}"
        "\\x{11BC0}-\\x{11BE0}\\x{11F02}\\x{11F04}-\\x{11F10}\\x{11F12}-\\x{11F33}\\x{1342F}\\x{13441}-\\x{13446}"
        "\\x{13460}-\\x{143FA}\\x{16100}-\\x{1611D}\\x{16D43}-\\x{16D6A}\\x{18CFF}\\x{1B132}\\x{1B155}"
        "\\x{1E4D0}-\\x{1E4EA}\\x{1E5D0}-\\x{1E5ED}\\x{1E5F0}\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}";
    of["Mn"] =
        "\\x{897}\\x{ECE}\\x{10D69}-\\x{10D6D}\\x{10EFC}-\\x{10EFF}\\x{11241}\\x{113BB}-\\x{113C0}\\x{113CE}\\x{113D0}"
        "\\x{113D2}\\x{113E1}-\\x{113E2}\\x{11F00}-\\x{11F01}\\x{11F36}-\\x{11F3A}\\x{11F40}\\x{11F42}\\x{11F5A}"
        "\\x{13440}\\x{13447}-\\x{13455}\\x{1611E}-\\x{16129}\\x{1612D}-\\x{1612F}\\x{1E08F}\\x{1E4EC}-\\x{1E4EF}"
        "\\x{1E5EE}-\\x{1E5EF}";
    of["Mc"] =
        "\\x{CF3}\\x{113B8}-\\x{113BA}\\x{113C2}\\x{113C5}\\x{113C7}-\\x{113CA}\\x{113CC}-\\x{113CD}\\x{113CF}"
        "\\x{1171E}\\x{11F03}\\x{11F34}-\\x{11F35}\\x{11F3E}-\\x{11F3F}\\x{11F41}\\x{1612A}-\\x{1612C}";
    of["Nd"] =
        "\\x{10D40}-\\x{10D49}\\x{116D0}-\\x{116E3}\\x{11BF0}-\\x{11BF9}\\x{11F50}-\\x{11F59}\\x{16130}-\\x{16139}"
        "\\x{16D70}-\\x{16D79}\\x{1CCF0}-\\x{1CCF9}\\x{1E4F0}-\\x{1E4F9}\\x{1E5F1}-\\x{1E5FA}";
    of["No"] = "\\x{1D2C0}-\\x{1D2D3}";
    of["P"] =
        "\\x{1B4E}-\\x{1B4F}\\x{1B7F}\\x{10D6E}\\x{113D4}-\\x{113D5}\\x{113D7}-\\x{113D8}\\x{11B00}-\\x{11B09}\\x{"
        "11BE1}"
        "\\x{11F43}-\\x{11F4F}\\x{16D6D}-\\x{16D6F}\\x{1E5FF}";
    of["L"] = of["Lu"] + of["Ll"] + of["Lm"] + of["Lo"];
    of["M"] = of["Mn"] + of["Mc"];
    of["N"] = of["Nd"] + of["No"];
    return of;
  }();
  return members;
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
    if (in_set_) return c == '\\' && at_ + 1 < from_.size() ? escape() : set_member(c);
    if (c == '{') return repeat();
    if (c == ')' && !groups_.empty()) {
      atom_ = groups_.back();
      groups_.pop_back();
    } else {
      if (std::string_view("*+?").find(c) == std::string_view::npos) atom_ = to_.size();
      if (c == '(') groups_.push_back(to_.size());
    }
    if (c == '\\' && at_ + 1 < from_.size()) return escape();
    if (c == '[') return open_set();
    to_ += c;
    ++at_;
  }

  void open_set() {
    in_set_ = true;
    to_ += from_[at_++];
    if (at_ < from_.size() && from_[at_] == '^') to_ += from_[at_++];
    if (at_ < from_.size() && from_[at_] == ']') to_ += "\\]", ++at_;
  }

  void set_member(char c) {
    if (c == '[') {
      const bool posix = from_.compare(at_, 2, "[:") == 0;
      const size_t end = posix ? from_.find(":]", at_) : std::string::npos;
      if (end == std::string::npos) refuse("nested sets […[…]…]");
      to_ += from_.substr(at_, end + 2 - at_);
      at_ = end + 2;
      return;
    }
    if (from_.compare(at_, 2, "&&") == 0) refuse("set intersections […&&…]");
    if (c == ']') in_set_ = false;
    to_ += c;
    ++at_;
  }

  void set_of(const std::string& members, bool negated) {
    if (in_set_)
      to_ += members;
    else
      to_ += (negated ? "[^" : "[") + members + "]";
  }

  void escape() {
    const char kind = from_[at_ + 1];
    if (kind == 's' || (kind == 'S' && !in_set_)) {
      at_ += 2;
      return set_of(white_space, kind == 'S');
    }
    if (kind == 'h' || (kind == 'H' && !in_set_)) {
      at_ += 2;
      return set_of("0-9a-fA-F", kind == 'H');
    }
    if (kind == 'w' || (kind == 'W' && !in_set_)) {
      at_ += 2;
      const auto& newer = newer_members();
      return set_of("\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}" + newer.at("L") + newer.at("M") + newer.at("Nd") + word_members,
                    kind == 'W');
    }
    if ((kind == 'p' || kind == 'P') && at_ + 2 < from_.size() && from_[at_ + 2] == '{') return property();
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
    const auto newer = newer_members().find(name);
    if (newer == newer_members().end() || (negated && in_set_)) {
      to_ += (negated ? "\\P{" : "\\p{") + name + "}";
      return;
    }
    set_of("\\p{" + name + "}" + newer->second, negated);
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
