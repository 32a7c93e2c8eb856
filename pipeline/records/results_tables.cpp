#include "pipeline/records/results_tables.hpp"

#include <algorithm>
#include <sstream>

#include "pipeline/core/error.hpp"
#include "pipeline/records/labels.hpp"

namespace cmc::records {
namespace {

using store::Table, store::TableColumn;

// What the fields of systems and labels are, for people.
std::string about_field(const std::string& name) {
  static const std::map<std::string, std::string> texts = {
      {"target", "target model"},
      {"method", "method applied to the target"},
      {"delta", "delta model"},
      {"mode", "how base and delta logits are added"},
      {"map_method", "token map; empty: one vocabulary"},
      {"unmapped", "what base tokens without a delta token get"},
      {"top", "one_to_many, top_union: for so many tokens; 0: all"},
      {"gate", "where the delta counts; empty: everywhere"},
      {"gate_threshold", "plausible: share of the most probable token's probability; unsure: its probability"},
      {"alpha", "strength of the delta; NaN: the task has several"},
      {"seed", "seed of the experiment; -1: of none, it stands for all"},
      {"strengths", "strengths of the delta"},
      {"set", "what is measured on"},
      {"purpose", "what is trained for"},
      {"prompt_before", "what the model (of judge: the judge) reads before a question"},
      {"prompt_after", "what it reads after a question"}};
  const auto found = texts.find(name);
  expect(found != texts.end(), "every field of a label is described");
  return found->second;
}

template <HasFields T>
std::vector<store::Label> described_labels(const T& value) {
  auto labels = plain_labels(value);
  for (auto& label : labels) label.long_name = about_field(label.name);
  return labels;
}

// A column for each field, a row for each struct.
template <HasFields T>
std::vector<TableColumn> field_columns(const std::vector<T>& rows) {
  std::vector<TableColumn> columns;
  for (const auto& label : described_labels(T{}))
    columns.push_back({label.name,
                       std::visit([]<class V>(const V&) { return store::Values(std::vector<V>{}); }, label.value), "1",
                       label.long_name});
  for (const T& row : rows) {
    size_t next = 0;
    for (const auto& label : plain_labels(row))
      std::visit([&]<class V>(const V& value) { std::get<std::vector<V>>(columns[next++].values).push_back(value); },
                 label.value);
  }
  return columns;
}

template <class Rows, class Value>
auto column_of(const Rows& rows, Value value) {
  std::vector<std::decay_t<decltype(value(*rows.begin()))>> column;
  column.reserve(rows.size());
  for (const auto& row : rows) column.push_back(value(row));
  return column;
}

Table metrics_table() {
  const auto& all = all_metrics();
  const auto texts = [&](std::string_view Metric::*member) {
    return column_of(all, [&](const Metric& m) { return std::string(m.*member); });
  };
  return {
      "metrics",
      "metric",
      {{"name", texts(&Metric::name), "1", "how it is called here"},
       {"title", texts(&Metric::title), "1", "how tables head it"},
       {"unit", texts(&Metric::unit), "1", "unit of its values"},
       {"digits", column_of(all, [](const Metric& m) { return static_cast<int32_t>(m.digits); }), "1",
        "shown after the decimal point"},
       {"better", column_of(all, [](const Metric& m) { return std::string(name_of(m.better)); }), "1",
        "direction of improvement"},
       {"better_on_forget", column_of(all, [](const Metric& m) { return std::string(name_of(m.better_on_forget)); }),
        "1", "the same on TOFU's forget set"},
       {"aggregate", column_of(all, [](const Metric& m) { return std::string(name_of(m.aggregate)); }), "1",
        "how values of items become a figure"},
       {"definition", texts(&Metric::definition), "1", "what it is"}}};
}

// Codes of what the rows name, which may be more than was measured: figures over seeds are of systems without one.
struct Codes {
  std::map<System, int32_t> systems;
  std::map<std::string, int32_t> sets;
  Codes(const Measurements& measurements, const Summary& summary) {
    for (const auto& system : measurements.systems()) systems[system];
    for (const auto& set : measurements.sets()) sets[set];
    for (const auto& row : summary.rows()) systems[row.system], sets[row.set];
    int32_t next = 0;
    for (auto& [system, code] : systems) code = next++;
    next = 0;
    for (auto& [set, code] : sets) code = next++;
  }
};

TableColumn system_column(std::vector<int32_t> codes) {
  return {"system", std::move(codes), "1", "row of /systems", "", "/systems"};
}
TableColumn set_column(std::vector<int32_t> codes) {
  return {"set", std::move(codes), "1", "row of /sets", "", "/sets"};
}
TableColumn metric_column(std::vector<int32_t> codes) {
  return {"metric", std::move(codes), "1", "row of /metrics", "", "/metrics"};
}

Table measurements_table(const Measurements& measurements, const Codes& codes) {
  std::vector<int32_t> systems, sets;
  for (const auto& system : measurements.systems()) systems.push_back(codes.systems.at(system));
  for (const auto& set : measurements.sets()) sets.push_back(codes.sets.at(set));
  const auto& rows = measurements.rows();
  return {
      "measurements",
      "measurement",
      {system_column(column_of(rows, [&](const Measurement& m) { return systems[static_cast<size_t>(m.system)]; })),
       set_column(column_of(rows, [&](const Measurement& m) { return sets[static_cast<size_t>(m.set)]; })),
       {"item", column_of(rows, [](const Measurement& m) { return m.item; }), "1", "item of the set"},
       metric_column(column_of(rows, [](const Measurement& m) { return static_cast<int32_t>(m.metric); })),
       {"value", column_of(rows, [](const Measurement& m) { return m.value; }), "1", "value, in the metric's unit"}}};
}

Table summary_table(const Summary& summary, const Codes& codes) {
  const auto& rows = summary.rows();
  const auto number = [&](double Figure::*member) {
    return column_of(rows, [&](const SummaryRow& row) { return row.figure.*member; });
  };
  return {
      "summary",
      "figure",
      {system_column(column_of(rows, [&](const SummaryRow& row) { return codes.systems.at(row.system); })),
       set_column(column_of(rows, [&](const SummaryRow& row) { return codes.sets.at(row.set); })),
       metric_column(column_of(rows, [](const SummaryRow& row) { return static_cast<int32_t>(row.metric); })),
       {"value", number(&Figure::value), "1", "figure, in the metric's unit"},
       {"standard_error", number(&Figure::standard_error), "1", "its standard error over items; NaN: it has none"},
       {"n", column_of(rows, [](const SummaryRow& row) { return row.figure.n; }), "1",
        "items it is of; 0: it is no mean"},
       {"seeds", column_of(rows, [](const SummaryRow& row) { return static_cast<int32_t>(row.figure.by_seed.size()); }),
        "1", "seeds it is the mean over; 0: it is one measurement"},
       {"seed_deviation", number(&Figure::seed_deviation), "1",
        "sample standard deviation over the seeds; NaN: it has none"}}};
}

std::vector<double> numbers_in(const std::string& list) {
  std::vector<double> numbers;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) numbers.push_back(std::stod(part));
  return numbers;
}

// Sets the fields of a label from the columns of its row; what earlier versions did not have stays as it is.
class RowReader {
 public:
  RowReader(const Table& table, size_t row, const std::string& where) : table_(table), row_(row), where_(where) {}

  template <class Member>
  void operator()(const char* name, Member& member, Presence presence = Presence::required) const {
    if (presence == Presence::optional && !store::find_column(table_, name)) return;  // an earlier version's
    if constexpr (std::is_same_v<Member, std::string>) {
      member = at<std::string>(name);
    } else if constexpr (std::is_same_v<Member, double>) {
      member = at<double>(name);
    } else if constexpr (HasNames<Member>) {
      const auto known = find_named<Member>(at<std::string>(name));
      if (!known) throw_bad_field(where_, name, "is \"" + at<std::string>(name) + "\", which is not known");
      member = *known;
    } else if constexpr (std::is_same_v<Member, std::vector<double>>) {
      member = numbers_in(at<std::string>(name));
    } else if constexpr (std::is_same_v<Member, std::optional<int64_t>>) {
      if (const auto value = at<int64_t>(name); value >= 0) member = value;
    } else {
      member = at<int64_t>(name);
    }
  }
  template <class T>
  const T& at(const char* name) const {
    const auto* column = store::find_column(table_, name);
    const auto* values = column ? std::get_if<std::vector<T>>(&column->values) : nullptr;
    if (!values) throw_bad_field(where_, name, "is missing or of another type");
    return (*values)[row_];
  }

 private:
  const Table& table_;
  size_t row_;
  const std::string& where_;
};

}  // namespace

Table plan_table(const std::vector<PlanRow>& rows) {
  Table table{"plan",
              "planned_task",
              {{"key", column_of(rows, [](const PlanRow& row) { return row.key; }), "1", "SHA-256 of the task"},
               {"stage", column_of(rows, [](const PlanRow& row) { return row.stage; }), "1", "stage that runs it"},
               {"name", column_of(rows, [](const PlanRow& row) { return row.name; }), "1", "task as the plan names it"},
               {"done", column_of(rows, [](const PlanRow& row) { return static_cast<int32_t>(row.done); }), "1",
                "1: its unit is in this file"}}};
  for (auto& column : field_columns(column_of(rows, [](const PlanRow& row) { return row.labels; })))
    table.columns.push_back(std::move(column));
  return table;
}

std::vector<PlanRow> plan_rows(const Table& table, const std::string& where) {
  std::vector<PlanRow> rows(static_cast<size_t>(table.rows()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const RowReader reader(table, i, where);
    rows[i].key = reader.at<std::string>("key");
    rows[i].stage = reader.at<std::string>("stage");
    rows[i].name = reader.at<std::string>("name");
    rows[i].done = reader.at<int32_t>("done") != 0;
    TaskLabels::fields(rows[i].labels, reader);
  }
  return rows;
}

std::vector<PlanRow> plan_rows(const std::vector<PlannedTask>& plan, const std::set<std::string>& done) {
  std::vector<PlanRow> rows;
  for (const auto& task : plan)
    rows.push_back(
        {task.key, task.stage, task.name, labels_of(task.stage, task.parameters, task.name), done.contains(task.key)});
  return rows;
}

std::vector<PlannedTask> read_plan(const std::filesystem::path& output_folder) {
  const auto file = output_folder / "plan.json";
  if (!std::filesystem::exists(file)) return {};
  const Json json = read_json(file);
  std::vector<PlannedTask> plan;
  for (const Json& task : json_field<Json>(json, "tasks", file.string()))
    plan.push_back(
        {json_field<std::string>(task, "key", file.string()), json_field<std::string>(task, "stage", file.string()),
         json_field<std::string>(task, "name", file.string()), json_field<Json>(task, "parameters", file.string()),
         json_field<std::vector<std::string>>(task, "inputs", file.string())});
  return plan;
}

std::vector<Table> measurement_tables(const Measurements& measurements, const Summary& summary) {
  const Codes codes(measurements, summary);
  Table systems{"systems", "system", {}}, sets{"sets", "set", {}};
  std::vector<System> named;
  for (const auto& [system, code] : codes.systems) named.push_back(system);
  systems.columns = field_columns(named);
  sets.columns = {
      {"name", column_of(codes.sets, [](const auto& set) { return set.first; }), "1", "what is measured on"}};
  return {std::move(systems), std::move(sets), metrics_table(), measurements_table(measurements, codes),
          summary_table(summary, codes)};
}

void write_results(const std::filesystem::path& output_folder, const store::ResultsHeader& header,
                   const std::vector<std::string>& keys, const std::vector<PlannedTask>& plan) {
  Seeds seeds;
  for (const auto& task : plan) seeds.add(task.key, task.parameters, task.inputs);
  Measurer measurer(seeds);
  store::Additions additions;
  additions.take = [&](store::Unit& unit) {
    if (!seeds.knows(unit.key))
      seeds.add(unit.key, unit.task, json_field_or(unit.task, "inputs", std::vector<std::string>{}, where_of(unit)));
    auto labels = labels_of(unit.stage, unit.task, where_of(unit));
    labels.system.seed = seeds.of(unit.key);
    unit.labels = described_labels(labels);
    unit.labels.insert(unit.labels.begin(), {"name", json_field_or(unit.task, "name", std::string(), where_of(unit)),
                                             "task as the plan names it"});
    measurer.take(unit);
  };
  additions.tables = [&] {
    std::vector<Table> tables = {plan_table(plan_rows(plan, {keys.begin(), keys.end()}))};
    const Measurements measurements = measurer.finish();
    for (auto& table : measurement_tables(measurements, Summary(measurements))) tables.push_back(std::move(table));
    return tables;
  };
  store::write_results(output_folder, header, keys, additions);
}

}  // namespace cmc::records
