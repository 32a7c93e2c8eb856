#pragma once
#include <optional>
#include <string>

namespace cmc::text {

// Members of a PCRE2 set for a Unicode property by a name that the tokenizers library takes: a general category or
// script, short or long, or "alpha", "alnum", …; case, spaces, "_" and "-" do not count. Nothing for an unknown one.
std::optional<std::string> members_of_property(const std::string& name);

// All other code points; nothing for a property that is no general category.
std::optional<std::string> members_outside_property(const std::string& name);

}  // namespace cmc::text
