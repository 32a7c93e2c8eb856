#pragma once
#include <string>

#include "pipeline/token_map/token_map.hpp"

namespace cmc::token_map {

// A map that was read from a file, before its ids index anything: throws BadData naming `where` when ids and matches
// are not one for each base token, an id is outside the delta's vocabulary, a token is matched without an id (or the
// reverse), or candidates are not cut by offsets.
void check_map(const TokenMap& map, const std::string& where);

}  // namespace cmc::token_map
