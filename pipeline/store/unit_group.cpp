#include "pipeline/store/unit_group.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/store/dimension_scales.hpp"
#include "pipeline/store/hdf5_dataset.hpp"
#include "pipeline/store/schema.hpp"

namespace cmc::store {
namespace {

std::string values_name(const Ragged& ragged) {
  return ragged.name + std::string(schema::values_suffix);
}
std::string offsets_name(const Ragged& ragged) {
  return ragged.name + std::string(schema::offsets_suffix);
}
std::string value_dimension(const Ragged& ragged) {
  return ragged.name + "_value";
}
std::string offset_dimension(const Ragged& ragged) {
  return ragged.name + "_offset";
}

void describe(const Object& dataset, const std::string& units, const std::string& long_name,
              const std::string& definition) {
  write_attribute(dataset, schema::units, units);
  write_attribute(dataset, schema::long_name, long_name);
  if (!definition.empty()) write_attribute(dataset, schema::definition, definition);
}

// Dimension name → length over everything in the unit.
std::map<std::string, int64_t> dimension_lengths(const Unit& unit) {
  std::map<std::string, int64_t> lengths;
  for (const Dataset& d : unit.datasets)
    for (size_t axis = 0; axis < d.dimensions.size(); ++axis) lengths[d.dimensions[axis]] = d.shape[axis];
  for (const Ragged& r : unit.ragged) {
    lengths[r.dimension] = static_cast<int64_t>(r.offsets.size()) - 1;
    lengths[value_dimension(r)] = r.size();
    lengths[offset_dimension(r)] = static_cast<int64_t>(r.offsets.size());
  }
  return lengths;
}

// A dimension without a dataset of its name gets the counts 0, 1, … as coordinate: readers see honest values.
void write_index_scales(const Object& group, const Unit& unit, DimensionScales& scales) {
  std::set<std::string> named;
  for (const Dataset& d : unit.datasets) named.insert(d.name);
  for (const auto& [name, length] : dimension_lengths(unit)) {
    if (named.contains(name)) continue;
    std::vector<int64_t> counts(static_cast<size_t>(length));
    std::iota(counts.begin(), counts.end(), 0);
    Object dataset = write_values(group, name, {length}, counts);
    describe(dataset, "1", "index along " + name, "");
    write_attribute(dataset, schema::role, schema::role_index);
    scales.add_scale(name, std::move(dataset));
  }
}

void write_ragged(const Object& group, const Ragged& ragged, DimensionScales& scales) {
  const Values all = std::visit([](const auto& values) { return Values(values); }, ragged.values);
  const Object values = write_values(group, values_name(ragged), {ragged.size()}, all);
  describe(values, ragged.units, ragged.long_name, "");
  write_attribute(values, schema::role, schema::role_ragged);
  write_attribute(values, schema::ragged_dimension, ragged.dimension);
  scales.attach(values, {value_dimension(ragged)});
  const Object offsets =
      write_values(group, offsets_name(ragged), {static_cast<int64_t>(ragged.offsets.size())}, ragged.offsets);
  describe(offsets, "1", "sequence i is " + values_name(ragged) + "[offsets[i] : offsets[i + 1]]", "");
  write_attribute(offsets, schema::role, schema::role_offsets);
  scales.attach(offsets, {offset_dimension(ragged)});
}

// What tells units apart, so that a reader can select them without parsing JSON.
void write_labels(const Object& group, const std::vector<Label>& labels) {
  for (const Label& label : labels) {
    if (const auto* text = std::get_if<std::string>(&label.value))
      write_attribute(group, label.name.c_str(), std::string_view(*text));
    if (const auto* number = std::get_if<double>(&label.value)) write_attribute(group, label.name.c_str(), *number);
    if (const auto* count = std::get_if<int64_t>(&label.value)) write_attribute(group, label.name.c_str(), *count);
  }
}

bool has_role(const Object& dataset, const char* role) {
  return has_attribute(dataset, schema::role) && read_text_attribute(dataset, schema::role) == role;
}

std::string text_or_empty(const Object& object, const char* name) {
  return has_attribute(object, name) ? read_text_attribute(object, name) : "";
}

Ragged read_ragged(const Object& group, const Object& values, const std::string& stored_name) {
  if (!stored_name.ends_with(schema::values_suffix))
    throw BadData({values.where, "holds ragged values but is not named …_values", "this file was not written by cmc"});
  Ragged ragged;
  ragged.name = stored_name.substr(0, stored_name.size() - schema::values_suffix.size());
  ragged.dimension = read_text_attribute(values, schema::ragged_dimension);
  ragged.units = text_or_empty(values, schema::units);
  ragged.long_name = text_or_empty(values, schema::long_name);
  Values all = read_values(values), offsets = read_values(open_dataset(group, offsets_name(ragged)));
  if (auto* numbers = std::get_if<std::vector<float>>(&all)) ragged.values = std::move(*numbers);
  auto* tokens = std::get_if<std::vector<int32_t>>(&all);
  if (tokens) ragged.values = std::move(*tokens);
  if ((!tokens && !std::holds_alternative<std::vector<float>>(all)) ||
      !std::holds_alternative<std::vector<int64_t>>(offsets))
    throw BadData({values.where, "is not int32 or float32 with int64 offsets", "this file was not written by cmc"});
  ragged.offsets = std::get<std::vector<int64_t>>(std::move(offsets));
  if (ragged.offsets.empty() || ragged.offsets.front() != 0 ||
      !std::is_sorted(ragged.offsets.begin(), ragged.offsets.end()) || ragged.offsets.back() != ragged.size())
    throw BadData({values.where, "has offsets that do not cut it into sequences", "this file was not written by cmc"});
  return ragged;
}

Dataset read_dataset(const Object& object, const std::string& name) {
  Dataset dataset;
  dataset.name = name;
  dataset.shape = read_shape(object);
  dataset.dimensions = read_dimension_names(object, name, dataset.shape.size());
  dataset.values = read_values(object);
  dataset.units = text_or_empty(object, schema::units);
  dataset.long_name = text_or_empty(object, schema::long_name);
  dataset.definition = text_or_empty(object, schema::definition);
  return dataset;
}

std::string text_of(const Json& json, const char* name) {
  return json.is_object() && json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

}  // namespace

std::string json_text(const Json& json, const std::string& where) {
  try {
    std::string text = json.dump();
    if (text.find('\0') != std::string::npos) throw BadData({where, "holds a NUL byte", ""});
    return text;
  } catch (const Json::exception& e) {
    throw BadData({where, std::string("cannot be written as JSON: ") + e.what(), "give valid UTF-8 text"});
  }
}

Json read_json_attribute(const Object& object, const char* name) {
  const std::string text = read_text_attribute(object, name);
  check_json_text(text, object.where + ": " + name);
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    throw BadData({object.where + ": " + name, "is not JSON", "this file was not written by cmc"});
  return json;
}

Cost read_cost(const Object& group) {
  return cost_from(read_json_attribute(group, schema::cost), group.where + ": " + schema::cost);
}

void write_unit(const Object& group, const Unit& unit) {
  validate(unit, group.where);
  write_attribute(group, schema::key, unit.key);
  write_attribute(group, schema::stage, unit.stage);
  write_attribute(group, schema::task, json_text(unit.task, group.where + ": task"));
  write_attribute(group, schema::provenance, json_text(unit.provenance, group.where + ": provenance"));
  write_attribute(group, schema::cost, json_text(to_json(unit.cost), group.where + ": cost"));
  write_labels(group, unit.labels);
  DimensionScales scales;
  write_index_scales(group, unit, scales);
  for (const Dataset& d : unit.datasets) {
    if (d.dimensions != std::vector{d.name}) continue;
    Object coordinate = write_values(group, d.name, d.shape, d.values);
    describe(coordinate, d.units, d.long_name, d.definition);
    scales.add_scale(d.name, std::move(coordinate));
  }
  for (const Dataset& d : unit.datasets) {
    if (d.dimensions == std::vector{d.name}) continue;
    const Object dataset = write_values(group, d.name, d.shape, d.values);
    describe(dataset, d.units, d.long_name, d.definition);
    scales.attach(dataset, d.dimensions);
  }
  for (const Ragged& r : unit.ragged) write_ragged(group, r, scales);
  scales.finish();
}

Unit read_unit(const Object& group) {
  Unit unit;
  unit.where = group.where;
  unit.key = read_text_attribute(group, schema::key);
  unit.stage = read_text_attribute(group, schema::stage);
  unit.task = read_json_attribute(group, schema::task);
  unit.provenance = read_json_attribute(group, schema::provenance);
  unit.cost = read_cost(group);
  for (const Link& link : links(group)) {
    if (link.kind != Kind::dataset)
      throw BadData({child_where(group, link.name), "is not a dataset", "this file was not written by cmc"});
    const Object object = open_dataset(group, link.name);
    if (has_role(object, schema::role_index) || has_role(object, schema::role_offsets)) continue;
    if (has_role(object, schema::role_ragged))
      unit.ragged.push_back(read_ragged(group, object, link.name));
    else
      unit.datasets.push_back(read_dataset(object, link.name));
  }
  return unit;
}

void write_root_attributes(const Object& root, const std::string& title, const std::string& history,
                           const Json& provenance) {
  const std::string version = text_of(provenance, "version");
  std::string dependencies;
  for (const char* name : {"libtorch", "hdf5", "compiler"}) {
    const std::string value = text_of(provenance, name);
    if (!value.empty()) dependencies += (dependencies.empty() ? "" : "; ") + std::string(name) + " " + value;
  }
  write_attribute(root, schema::root::conventions, schema::conventions);
  write_attribute(root, schema::root::schema_version, schema::version);
  write_attribute(root, schema::root::title, title);
  write_attribute(root, schema::root::history, history);
  write_attribute(root, schema::root::references, schema::references);
  const std::string software = text_of(provenance, "software");
  write_attribute(root, schema::root::software, software.empty() ? "cmc" : software);
  write_attribute(root, schema::root::software_version, version);
  write_attribute(root, schema::root::software_dependencies, dependencies);
  write_attribute(root, schema::root::machine, text_of(provenance, "host"));
  write_attribute(root, schema::root::date, text_of(provenance, "date"));
}

void check_schema(const Object& root) {
  const std::string version = read_text_attribute(root, schema::root::schema_version);
  const size_t dot = version.find('.');
  for (int major = schema::first_major; major <= schema::last_major; ++major)
    if (version.substr(0, dot) == std::to_string(major) && dot != std::string::npos) return;
  throw BadData({root.where + ": schema_version",
                 "is \"" + version + "\", this program reads " + std::to_string(schema::first_major) + ".x to " +
                     std::to_string(schema::last_major) + ".x",
                 "use the cmc version that wrote it"});
}

}  // namespace cmc::store
