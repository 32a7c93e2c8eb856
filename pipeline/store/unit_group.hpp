#pragma once
#include "pipeline/store/hdf5_file.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::store {

// Throws Internal, naming the unit and the field, when it cannot be stored: a name that is not lower_snake_case or is
// given twice, a shape that does not fit its values, one dimension with two lengths.
void validate(const Unit& unit, const std::string& where);

// The unit's attributes, dimension scales and datasets into `group`. results/README.md describes the layout.
void write_unit(const Object& group, const Unit& unit);
// Throws BadData naming the object that does not follow the schema.
Unit read_unit(const Object& group);
Cost read_cost(const Object& group);  // its cost alone, likewise

// Root attributes: what wrote the file, when and where. `provenance` as cmc::provenance() gives it.
void write_root_attributes(const Object& root, const std::string& title, const std::string& history,
                           const Json& provenance);
// Throws BadData unless `root` says a schema this program can read.
void check_schema(const Object& root);

// Canonical JSON text; BadData when it holds invalid UTF-8.
std::string json_text(const Json& json, const std::string& where);
Json read_json_attribute(const Object& object, const char* name);

}  // namespace cmc::store
