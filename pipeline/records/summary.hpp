#pragma once
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "pipeline/records/measurements.hpp"

namespace cmc::records {

// The set under which figures of several TOFU sets stand; the system that stands for all of them.
inline constexpr std::string_view tofu_sets_together = "all sets";
inline System all_systems() {
  return {"", Method::none, "", 0, {}, std::nullopt};
}

// One figure of the report. System: with the seed it was measured in; without one over all seeds, or of what was
// measured once for all of them. Target "": of all systems together.
struct SummaryRow {
  System system;
  std::string set;
  int metric = 0;
  Figure figure;
};

// The figures of all measurements.
class Summary {
 public:
  explicit Summary(const Measurements& measurements);

  // Of several seeds each seed's and those over them; in the order of systems, sets, metrics.
  const std::vector<SummaryRow>& rows() const { return rows_; }
  // Over the seeds where there are several. A dash where it was not measured.
  const Figure& of(const System& system, const std::string& set, std::string_view metric) const;
  bool measured(const std::string& set, std::string_view metric) const;  // of any system
  const std::vector<int64_t>& seeds() const { return seeds_; }

 private:
  using Place = std::tuple<System, std::string, int>;  // without the seed
  using Figures = std::map<Place, Figure>;
  static Figures figures_of(const View& view);
  void combine(const std::map<int64_t, Figures>& by_seed, const Figures& fixed);

  std::vector<int64_t> seeds_;
  Figures figures_;
  std::vector<SummaryRow> rows_;
};

}  // namespace cmc::records
