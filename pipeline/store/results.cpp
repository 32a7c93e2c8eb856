#include "pipeline/store/results.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json_text.hpp"
#include "pipeline/store/hdf5_dataset.hpp"
#include "pipeline/store/schema.hpp"
#include "pipeline/store/sealed_file.hpp"
#include "pipeline/store/task_table.hpp"
#include "pipeline/store/unit_group.hpp"
#include "pipeline/store/unit_store.hpp"

namespace cmc::store {
namespace {

constexpr char seal_label[] = "results";
constexpr char merge_again[] = "merge it again from the units";

// Shortest length, from 12 on, at which no two of the sorted keys look the same.
size_t short_length(const std::set<std::string>& keys) {
  size_t length = schema::short_key_length;
  for (auto it = keys.begin(); it != keys.end(); ++it) {
    const auto next = std::next(it);
    if (next == keys.end()) break;
    const auto differs = std::mismatch(it->begin(), it->end(), next->begin()).first;
    length = std::max(length, static_cast<size_t>(differs - it->begin()) + 1);
  }
  return length;
}

void write_text_dataset(const Object& group, const char* name, const std::string& text, const char* long_name) {
  const Object dataset = write_values(group, name, {}, std::vector<std::string>{text});
  write_attribute(dataset, schema::units, std::string_view("1"));
  write_attribute(dataset, schema::long_name, std::string_view(long_name));
}

std::string read_text_dataset(const Object& group, const char* name) {
  const Object dataset = open_dataset(group, name);
  const Values values = read_values(dataset);
  const auto* texts = std::get_if<std::vector<std::string>>(&values);
  if (!texts || texts->size() != 1) throw BadData({dataset.where, "is not one text", merge_again});
  return texts->front();
}

void write_header(const Object& root, const ResultsHeader& header, size_t units) {
  const Json& environment = header.environment;
  const std::string date = environment.is_object() ? environment.value("date", std::string()) : "";
  write_root_attributes(root, header.title, date + ": merged from " + std::to_string(units) + " units by cmc",
                        environment);
  const Object configuration = create_group(root, schema::configuration_group);
  write_text_dataset(configuration, schema::experiment_dataset, header.experiment,
                     "resolved experiment file: cmc run on it repeats this");
  write_text_dataset(configuration, schema::environment_dataset, json_text(environment, root.where + ": environment"),
                     "versions, build, host (JSON)");
}

// Stage of each unit, read once so that groups can be made in sorted order with one unit in memory at a time.
std::map<std::string, std::set<std::string>> keys_by_stage(const UnitStore& store, const std::set<std::string>& keys) {
  std::map<std::string, std::set<std::string>> stages;
  for (const std::string& key : keys) stages[store.read_stage(key)].insert(key);
  return stages;
}

}  // namespace

void write_results(const std::filesystem::path& output_folder, const ResultsHeader& header,
                   const std::vector<std::string>& keys, const Additions& additions) {
  const std::filesystem::path target = output_folder / "results.h5";
  const UnitStore store(output_folder);
  const std::set<std::string> unique(keys.begin(), keys.end());
  const size_t length = short_length(unique);
  const auto lock = library_lock();
  const auto stages = keys_by_stage(store, unique);
  MemoryFile file = MemoryFile::create(target.string());
  write_header(file.root(), header, unique.size());
  TaskTable table;
  for (const auto& [stage, stage_keys] : stages) {
    const Object group = create_group(file.root(), stage);
    for (const std::string& key : stage_keys) {
      Unit unit = store.read(key);
      if (additions.take) additions.take(unit);
      const std::string name = key.substr(0, length);
      write_unit(create_group(group, name), unit);
      table.add(unit, "/" + stage + "/" + name);
    }
  }
  write_table(file.root(), table.table());
  if (additions.tables)
    for (const Table& added : additions.tables()) write_table(file.root(), added);
  publish_file(target, seal(file.close(), seal_label));
}

Results read_results(const std::filesystem::path& file) {
  return decode_results(read_file(file), file.string());
}

Results decode_results(std::string_view sealed, const std::string& where) {
  const std::string damage = find_damage(sealed, seal_label);
  if (!damage.empty()) throw BadData({where, damage, merge_again});
  sealed.remove_suffix(seal_length);
  const auto lock = library_lock();
  const MemoryFile opened = MemoryFile::open(sealed, where);
  const Object& root = opened.root();
  check_schema(root);
  Results results;
  results.header.title = read_text_attribute(root, schema::root::title);
  const Object configuration = open_group(root, schema::configuration_group);
  results.header.experiment = read_text_dataset(configuration, schema::experiment_dataset);
  const std::string environment = read_text_dataset(configuration, schema::environment_dataset);
  check_json_text(environment, configuration.where + "/" + schema::environment_dataset);
  results.header.environment = Json::parse(environment, nullptr, false);
  if (results.header.environment.is_discarded())
    throw BadData({configuration.where + "/" + schema::environment_dataset, "is not JSON", merge_again});
  for (const Link& stage : links(root)) {
    if (stage.name == schema::plan_group) results.plan = read_table(root, schema::plan_group);
    if (std::ranges::find(schema::other_groups, stage.name) != std::end(schema::other_groups)) continue;
    const Object group = open_group(root, stage.name);
    for (const Link& unit : links(group)) results.units.push_back(read_unit(open_group(group, unit.name)));
  }
  return results;
}

}  // namespace cmc::store
