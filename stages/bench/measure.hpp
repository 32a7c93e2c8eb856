#pragma once
#include <torch/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"

namespace cmc::stages {

// Several times that one thing took (s).
struct Spread {
  double median = 0, least = 0, most = 0;
};
// Throws Internal for none.
Spread spread_of(std::vector<double> seconds);

// Seconds since some moment, once the device has done what it was given.
double seconds_now(torch::Device device);
// `work` timed `times` times, after `unmeasured` runs of it.
Spread timed(torch::Device device, int unmeasured, int times, const std::function<void()>& work);

// One line of the table.
struct Measure {
  std::string name;  // "decode, batch 64"
  double value = 0;
  std::string unit;
  double least = 0, most = 0;       // as `value`; both 0: measured once
  std::optional<double> fraction;   // of what the machine can do (or, of a cost, of what it is added to)
  std::string fraction_of = {};     // "bandwidth", "matmul rate", "the base alone"
  std::optional<double> goal = {};  // for the fraction; given where the device is a GPU
  bool at_most = false;             // the goal is an upper bound
  Json more = Json::object();       // for programs that read it
};
Json to_json(const Measure& measure);

// `amount` of something done in each of these times, as a rate.
Measure rate(std::string name, double amount, const Spread& seconds, std::string unit);

// Columns of text, as a terminal shows them.
std::string table_of(const std::vector<Measure>& measures);

}  // namespace cmc::stages
