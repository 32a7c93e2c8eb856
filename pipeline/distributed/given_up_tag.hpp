#pragma once

namespace cmc::distributed {

// Of the message by which a member tells a group that it has failed; no other message of a group has it.
inline constexpr int given_up_tag = 15;

}  // namespace cmc::distributed
