#include "pipeline/records/columns.hpp"

namespace cmc::records {
namespace {

template <class List>
auto* find(const List& list, const std::string& name) {
  for (const auto& item : list)
    if (item.name == name) return &item;
  return static_cast<const typename List::value_type*>(nullptr);
}

}  // namespace

std::string where_of(const store::Unit& unit) {
  return unit.where.empty() ? "unit " + unit.key : unit.where;
}

const store::Dataset* find_dataset(const store::Unit& unit, const std::string& name) {
  return find(unit.datasets, name);
}
const store::Ragged* find_ragged(const store::Unit& unit, const std::string& name) {
  return find(unit.ragged, name);
}

void throw_bad_column(const store::Unit& unit, const About& about, const std::string& what) {
  throw BadData({where_of(unit) + ": " + about.name, what,
                 "stage " + unit.stage + " writes it (" + about.long_name + "); run the task again"});
}

}  // namespace cmc::records
