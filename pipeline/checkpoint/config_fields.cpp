#include "pipeline/checkpoint/config_fields.hpp"

#include <cmath>

#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

void ConfigFields::fail(const std::string& key, const std::string& what, const std::string& remedy) const {
  throw BadData({where_ + ": " + key, what, remedy});
}

bool ConfigFields::has(const std::string& key) const {
  return object_.is_object() && object_.contains(key) && !object_.at(key).is_null();
}

int64_t ConfigFields::integer(const std::string& key, int64_t low, int64_t high) const {
  if (!has(key)) fail(key, "is missing", "the folder is not a complete Hugging Face model");
  const Json& value = object_.at(key);
  if (!value.is_number_integer()) fail(key, "is no whole number (" + value.dump() + ")", "");
  const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
  const int64_t number = fits ? value.get<int64_t>() : INT64_MAX;
  if (number < low || number > high) {
    fail(key, "is out of range (" + value.dump() + ")",
         "expected " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

int64_t ConfigFields::integer_or(const std::string& key, int64_t otherwise, int64_t low, int64_t high) const {
  return has(key) ? integer(key, low, high) : otherwise;
}

double ConfigFields::number_or(const std::string& key, double otherwise, double low, double high) const {
  if (!has(key)) return otherwise;
  const Json& value = object_.at(key);
  if (!value.is_number()) fail(key, "is no number (" + value.dump() + ")", "");
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < low || number > high) {
    fail(key, "is out of range (" + value.dump() + ")", "expected " + Json(low).dump() + " to " + Json(high).dump());
  }
  return number;
}

bool ConfigFields::flag_or(const std::string& key, bool otherwise) const {
  if (object_.is_object() && object_.contains(key) && !has(key)) return false;  // null is false to Python
  if (!has(key)) return otherwise;
  if (!object_.at(key).is_boolean()) fail(key, "is neither true nor false (" + object_.at(key).dump() + ")", "");
  return object_.at(key).get<bool>();
}

std::string ConfigFields::text_or(const std::string& key, const std::string& otherwise) const {
  if (!has(key)) return otherwise;
  if (!object_.at(key).is_string()) fail(key, "is no text (" + object_.at(key).dump() + ")", "");
  return object_.at(key).get<std::string>();
}

ConfigFields ConfigFields::object(const std::string& key) const {
  if (!has(key) || !object_.at(key).is_object()) fail(key, "is no object", "");
  return ConfigFields(object_.at(key), where_ + ": " + key);
}

}  // namespace cmc::checkpoint
