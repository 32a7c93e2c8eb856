#include "pipeline/token_map/check_map.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"

namespace cmc::token_map {
namespace {

// Of one_to_many: [offsets[v], offsets[v + 1]) cuts the candidates, which are ids like the others.
std::string wrong_candidates(const TokenMap& map) {
  if (map.offsets.empty() && map.candidates.empty()) return "";
  if (map.offsets.size() != map.ids.size() + 1 || map.offsets.front() != 0 || !std::ranges::is_sorted(map.offsets) ||
      map.offsets.back() != static_cast<int64_t>(map.candidates.size()))
    return "has offsets that do not cut its candidates into one list for each base token";
  const auto outside = [&](DeltaToken id) { return id.value < 0 || id.value >= map.delta_size; };
  return std::ranges::any_of(map.candidates, outside) ? "has a candidate outside the delta's vocabulary" : "";
}

}  // namespace

void check_map(const TokenMap& map, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    throw BadData({where, what, "delete this file and run again: the map is made anew"});
  };
  if (map.delta_size <= 0) refuse("maps into a vocabulary of " + std::to_string(map.delta_size) + " tokens");
  if (map.ids.empty() || map.ids.size() != map.match.size())
    refuse("has " + std::to_string(map.ids.size()) + " ids and " + std::to_string(map.match.size()) + " matches");
  for (size_t token = 0; token < map.ids.size(); ++token) {
    const int32_t id = map.ids[token].value;
    const std::string place = "base token " + std::to_string(token);
    if (id < -1 || id >= map.delta_size)
      refuse(place + " has the id " + std::to_string(id) + ", outside 0 to " + std::to_string(map.delta_size - 1));
    const auto match = static_cast<int>(map.match[token]);
    if (match < static_cast<int>(Match::unmapped) || match > static_cast<int>(Match::exact))
      refuse(place + " has the unknown match " + std::to_string(match));
    if ((id == -1) != (map.match[token] == Match::unmapped))
      refuse(place + " has an id without a match, or a match without an id");
  }
  if (const std::string wrong = wrong_candidates(map); !wrong.empty()) refuse(wrong);
}

}  // namespace cmc::token_map
