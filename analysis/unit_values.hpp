#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pipeline/core/json.hpp"
#include "pipeline/store/unit.hpp"

// Reading one unit's datasets. A dataset that is missing gives nothing: results may be partial or from another version.
namespace cmc::analysis {

const store::Dataset* find_dataset(const store::Unit& unit, const std::string& name);
// Any number type as double; empty when missing or text.
std::vector<double> numbers(const store::Unit& unit, const std::string& name);
std::vector<std::string> texts(const store::Unit& unit, const std::string& name);
// Length of each sequence of a ragged dataset; empty when missing.
std::vector<double> sequence_lengths(const store::Unit& unit, const std::string& name);

// A value of `list`, or NaN / "" beyond its end.
double at(const std::vector<double>& list, size_t index);
std::string at(const std::vector<std::string>& list, size_t index);

// Members of a JSON object, or "" / NaN. A model is named by its text or by its member "name".
std::string text_of(const Json& object, const std::string& key);
double number_of(const Json& object, const std::string& key);

}  // namespace cmc::analysis
