#include "stages/experiment/schema.hpp"

#include <limits>
#include <numeric>
#include <utility>

#include "stages/experiment/settings.hpp"

namespace cmc::stages {
namespace {

template <class S>
void add_section(const std::string& name, std::vector<KeySpec>& keys) {
  const S defaults;
  S::fields(defaults, [&]<class T>(const char* key, const T& value, const Help& help) {
    keys.push_back({name + "." + key, kind_of(value), text_of(value), help.text,
                    help.choices.empty() ? Choices<T>::names() : help.choices, help.required, range_of_items<T>(help)});
  });
}

struct AddSections {
  std::vector<KeySpec>& keys;
  template <Section S>
  void operator()(const std::string& name, const S&) const {
    add_section<S>(name, keys);
  }
  template <Section S>
  void operator()(const std::string& name, const std::map<std::string, S>&) const {
    add_section<S>(name + ".*", keys);
  }
};

}  // namespace

const std::vector<KeySpec>& schema() {
  static const std::vector<KeySpec> keys = [] {
    std::vector<KeySpec> all;
    const Settings defaults;
    Settings::fields(defaults, AddSections{all});
    return all;
  }();
  return keys;
}

namespace {

// "model.*.path" matches "model.gemma.path".
bool matches(std::string_view pattern, std::string_view key) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == key;
  const auto head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  return key.size() > head.size() + tail.size() && key.starts_with(head) && key.ends_with(tail) &&
         key.substr(head.size(), key.size() - head.size() - tail.size()).find('.') == std::string_view::npos;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

// A starred pattern written with the name the user gave: "model.*.path" near "model.gemma.pth" → "model.gemma.path".
std::string filled(std::string_view pattern, std::string_view key) {
  const size_t star = pattern.find('*'), dot = key.find('.');
  if (star == std::string_view::npos) return std::string(pattern);
  const size_t next = dot == std::string_view::npos ? dot : key.find('.', dot + 1);
  const auto name = next == std::string_view::npos ? std::string_view("NAME") : key.substr(dot + 1, next - dot - 1);
  return std::string(pattern.substr(0, star)).append(name).append(pattern.substr(star + 1));
}

}  // namespace

const KeySpec* find_spec(std::string_view key) {
  for (const auto& spec : schema())
    if (matches(spec.key, key)) return &spec;
  return nullptr;
}

std::string nearest_key(std::string_view key) {
  std::string best;
  size_t least = std::numeric_limits<size_t>::max();
  for (const auto& spec : schema()) {
    const std::string candidate = filled(spec.key, key);
    if (const size_t distance = edit_distance(candidate, key); distance < least) least = distance, best = candidate;
  }
  return best;
}

}  // namespace cmc::stages
