#include "pipeline/data/ifeval.hpp"

#include <cmath>
#include <set>

#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

int64_t whole_number(const Record& record, const std::string& field, const Json& value) {
  constexpr double largest = 1e15;  // every whole number up to it is a double
  if (value.is_number_integer() && std::abs(value.get<double>()) <= largest) return value.get<int64_t>();
  if (value.is_number_float() && value == std::floor(value.get<double>()) && std::abs(value.get<double>()) <= largest)
    return static_cast<int64_t>(value.get<double>());
  record.refuse(field, "is " + value.dump(), "it must be a whole number");
}

IfevalInstruction::Value value_of(const Record& kwargs, const std::string& field, const Json& value) {
  if (value.is_number()) return whole_number(kwargs, field, value);
  if (value.is_array()) return kwargs.texts(field);
  if (value.is_string()) return value.get<std::string>();
  kwargs.refuse(field, std::string("is of type ") + value.type_name(),
                "it must be a whole number, a string or a list of strings");
}

IfevalInstruction instruction_of(std::string id, const Record& kwargs) {
  IfevalInstruction instruction{std::move(id), {}, kwargs.where()};
  for (const auto& [field, value] : kwargs.json().items())
    if (!value.is_null()) instruction.kwargs.emplace(field, value_of(kwargs, field, value));
  return instruction;
}

IfevalItem item_of(const Record& record) {
  if (!record.has("key")) record.refuse("key", "is missing", "give the prompt's number");
  IfevalItem item{whole_number(record, "key", record.json().at("key")), record.text("prompt"), {}};
  const auto ids = record.texts("instruction_id_list");
  const auto kwargs = record.objects("kwargs");
  if (kwargs.size() != ids.size())
    record.refuse("kwargs",
                  "has " + std::to_string(kwargs.size()) + " entries for " + std::to_string(ids.size()) +
                      " ids of instruction_id_list",
                  "give an object for each, {} where it takes nothing");
  for (size_t i = 0; i < ids.size(); ++i) item.instructions.push_back(instruction_of(ids[i], kwargs[i]));
  return item;
}

}  // namespace

Dataset<IfevalItem> read_ifeval(const std::filesystem::path& file, size_t limit) {
  auto dataset = describe<IfevalItem>(file);
  std::set<int64_t> keys;
  read_records(file, [&](const Record& record) {
    IfevalItem item = item_of(record);
    if (!keys.insert(item.key).second)
      record.refuse("key", "is " + std::to_string(item.key) + ", which an earlier prompt has",
                    "number each prompt once");
    if (dataset.items.size() < limit) dataset.items.push_back(std::move(item));
  });
  return dataset;
}

}  // namespace cmc::data
