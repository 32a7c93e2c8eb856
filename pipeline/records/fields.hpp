#pragma once
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/core/named_enum.hpp"

// A struct says its fields once, and is written, read and shown by that list:
//
//   struct Slice {
//     int64_t first = 0, count = 0;
//     template <class Self, class Visit>
//     static void fields(Self& self, Visit&& visit) {
//       visit("first", self.first);
//       visit("count", self.count, Presence::optional);
//     }
//   };
//
// A member may be a number, a text, an enum with EnumNames, another such struct (an object of its own; called with the
// same `visit` its fields stand beside the others), a vector or a std::optional (absent: not written) of these.
namespace cmc::records {

// optional: not written where it is its type's default, and that default where it is absent.
enum class Presence { required, optional };

// What an enum's values are called: specialised with `names`, a NamedEnum.
template <class E>
struct EnumNames;

template <class E>
concept HasNames = requires {
  EnumNames<E>::names;
};

template <HasNames E>
std::string_view name_of(E value) {
  return EnumNames<E>::names.name_of(value);
}

template <HasNames E>
std::optional<E> find_named(std::string_view name) {
  return EnumNames<E>::names.find(name);
}

template <HasNames E>
std::vector<std::string_view> names_of() {
  std::vector<std::string_view> names;
  for (const auto& [value, name] : EnumNames<E>::names.all()) names.push_back(name);
  return names;
}

namespace detail {
struct AnyVisit {
  template <class T>
  void operator()(const char*, T&, Presence = Presence::required) const {}
};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
}  // namespace detail

template <class T>
concept HasFields = requires(T& self) {
  T::fields(self, detail::AnyVisit{});
};
// A type that is written and read in a way of its own, as a model reference.
template <class T>
concept HasJson = requires(const T& self, const Json& json) {
  { self.to_json() } -> std::convertible_to<Json>;
  { T::from_json(json, std::string()) } -> std::convertible_to<T>;
};

template <class T>
Json to_json(const T& value) {
  if constexpr (HasJson<T>) {
    return value.to_json();
  } else if constexpr (HasFields<T>) {
    Json object = Json::object();
    T::fields(value, [&]<class Member>(const char* name, const Member& member, Presence presence = Presence::required) {
      if constexpr (detail::IsOptional<Member>::value) {
        if (member) object[name] = records::to_json(*member);
      } else {
        if constexpr (detail::IsVector<Member>::value) {
          if (presence == Presence::optional && member.empty()) return;
        } else if constexpr (std::equality_comparable<Member>) {
          if (presence == Presence::optional && member == Member{}) return;
        }
        object[name] = records::to_json(member);
      }
    });
    return object;
  } else if constexpr (HasNames<T>) {
    return std::string(name_of(value));
  } else if constexpr (detail::IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& item : value) list.push_back(records::to_json(item));
    return list;
  } else {
    return value;
  }
}

// Throws BadData naming `where` and the field that is missing, of another type, or a name that is not known.
template <class T>
T from_json(const Json& json, const std::string& where);

namespace detail {
template <class T>
T member_from(const Json& object, const char* name, const std::string& where) {
  if constexpr (HasJson<T> || HasFields<T>) {
    return records::from_json<T>(object.at(name), where + ": " + name);
  } else if constexpr (HasNames<T>) {
    const auto text = json_field<std::string>(object, name, where);
    const auto value = find_named<T>(text);
    if (!value) throw_bad_field(where, name, "is \"" + text + "\"; known are " + EnumNames<T>::names.names());
    return *value;
  } else if constexpr (IsVector<T>::value) {
    if (!object.at(name).is_array()) throw_bad_field(where, name, "is no list");
    T list;
    for (const Json& item : object.at(name)) {
      const Json one = {{name, item}};
      list.push_back(member_from<typename T::value_type>(one, name, where));
    }
    return list;
  } else {
    return json_field<T>(object, name, where);
  }
}
}  // namespace detail

template <class T>
T from_json(const Json& json, const std::string& where) {
  if constexpr (HasJson<T>) {
    return T::from_json(json, where);
  } else {
    T value;
    T::fields(value, [&]<class Member>(const char* name, Member& member, Presence presence = Presence::required) {
      const bool there = json.is_object() && json.contains(name) && !json.at(name).is_null();
      if constexpr (detail::IsOptional<Member>::value) {
        if (there) member = detail::member_from<typename Member::value_type>(json, name, where);
      } else {
        if (!there && presence == Presence::optional) return;
        if (!there) throw_bad_field(where, name, "is missing");
        member = detail::member_from<Member>(json, name, where);
      }
    });
    return value;
  }
}

}  // namespace cmc::records
