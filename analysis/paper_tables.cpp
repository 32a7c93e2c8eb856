#include "analysis/paper_tables.hpp"

#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "pipeline/metrics/strength.hpp"

namespace cmc::analysis {
namespace {

using Keep = std::function<bool(const System&)>;

// At the strength nearest to 1, the paper's, of those measured with the same delta and fusion.
std::set<System> at_full_strength(const std::vector<System>& systems) {
  using metrics::distance_from_1;
  std::map<std::tuple<std::string, records::Method, std::string, std::string>, System> nearest;
  for (const System& system : systems) {
    const auto [found, fresh] =
        nearest.try_emplace({system.target, system.method, system.delta, describe(system.fusion)}, system);
    if (!fresh && distance_from_1(system.strength) < distance_from_1(found->second.strength)) found->second = system;
  }
  std::set<System> kept;
  for (const auto& [name, system] : nearest) kept.insert(system);
  return kept;
}

// The paper's method: with every delta, in every variant.
bool is_ours(const System& system) {
  return records::traits_of(system.method).every_delta;
}

Table excerpt(const Table& all, const std::vector<System>& systems, const Excerpt& name, const Keep& keep) {
  Table part = all;
  part.id = name.id;
  part.title = name.title;
  part.rows.clear();
  for (size_t row = 0; row < systems.size(); ++row)
    if (keep(systems[row])) part.rows.push_back(all.rows[row]);
  return part;
}

}  // namespace

std::vector<Table> paper_tables(Table all, const std::vector<System>& systems, const PaperLayout& layout) {
  const auto full = at_full_strength(systems);
  const auto is_cmc = [&](const System& s) { return is_ours(s) && full.contains(s); };
  std::set<std::string> deltas, modes;
  for (const System& system : systems) {
    if (is_ours(system)) deltas.insert(system.delta), modes.insert(describe(system.fusion));
  }
  const std::string main = deltas.contains(layout.main_delta) || deltas.empty() ? layout.main_delta : *deltas.begin();
  const std::string usual = modes.contains("") || modes.empty() ? "" : *modes.begin();
  const auto is_main = [&](const System& s) {
    return s.delta.empty() || (full.contains(s) && describe(s.fusion) == usual && (!is_ours(s) || s.delta == main));
  };
  std::vector<Table> tables = {excerpt(all, systems, layout.methods, is_main)};
  tables.front().shown = Table::Shown::first;
  if (tables.front().rows.size() == all.rows.size()) {
    all.shown = Table::Shown::first;
    return {std::move(all)};
  }
  if (deltas.size() > 1)
    tables.push_back(excerpt(all, systems, layout.deltas, [&](const System& s) {
      return s.is_vanilla() || (is_cmc(s) && describe(s.fusion) == usual);
    }));
  if (modes.size() > 1)
    tables.push_back(
        excerpt(all, systems, layout.variants, [&](const System& s) { return is_cmc(s) && s.delta == main; }));
  all.shown = Table::Shown::folded;
  tables.push_back(std::move(all));
  return tables;
}

}  // namespace cmc::analysis
