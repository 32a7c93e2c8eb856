#pragma once
#include <string>
#include <vector>

#include "pipeline/records/columns.hpp"
#include "pipeline/records/fields.hpp"
#include "pipeline/store/unit.hpp"

// Structs with fields as what HDF5 holds: plain attributes, and columns of a table.
namespace cmc::records {

namespace detail {

// NaN, −1 and "" stand for what is not there.
template <class Member>
std::variant<std::string, double, int64_t> plain(const Member& member) {
  if constexpr (IsOptional<Member>::value) {
    static_assert(std::is_integral_v<typename Member::value_type>);
    return member ? static_cast<int64_t>(*member) : int64_t{-1};
  } else if constexpr (HasNames<Member>) {
    return std::string(name_of(member));
  } else if constexpr (std::is_same_v<Member, std::vector<double>>) {
    std::string list;
    for (const double value : member) list += (list.empty() ? "" : ", ") + Json(value).dump();
    return list;
  } else if constexpr (std::is_integral_v<Member>) {
    return static_cast<int64_t>(member);
  } else {
    return member;
  }
}

}  // namespace detail

template <HasFields T>
std::vector<store::Label> plain_labels(const T& value) {
  std::vector<store::Label> labels;
  T::fields(value, [&]<class Member>(const char* name, const Member& member, Presence = Presence::required) {
    labels.push_back({name, detail::plain(member)});
  });
  return labels;
}

}  // namespace cmc::records
