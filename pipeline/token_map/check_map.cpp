#include "pipeline/token_map/check_map.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::token_map {

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
    if ((id == -1) != (map.match[token] == Match::unmapped)) refuse(place + " has an id without a match, or a match without an id");
  }
}

}  // namespace cmc::token_map
