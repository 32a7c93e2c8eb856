#include "pipeline/store/cost.hpp"

namespace cmc::store {

Json to_json(const Cost& cost) {
  Json json = Json::object();
  Cost::fields(cost, [&](const char* name, const auto& value) {
    if (value) json[name] = *value;
  });
  return json;
}

Cost cost_from(const Json& json, const std::string& where) {
  Cost cost;
  Cost::fields(cost, [&]<class T>(const char* name, std::optional<T>& value) {
    if (json.is_object() && json.contains(name) && !json.at(name).is_null()) value = json_field<T>(json, name, where);
  });
  return cost;
}

}  // namespace cmc::store
