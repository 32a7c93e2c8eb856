#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"

// Models and data sets that an experiment names and that are not there yet. `cmc plan` assumes what is known of them,
// so that one sees what an experiment takes before hundreds of gigabytes are fetched; a run assumes nothing.
namespace cmc::stages {

enum class Absent { fails, assumed };

struct AbsentInput {
  enum class Kind { model, data } kind = Kind::model;
  std::string path;
  std::string assumed;  // what the plan rests on: "as llama2_7b", "805 items"
  int64_t bytes = 0;    // to fetch, about; 0: not known
};

class AbsentInputs {
 public:
  explicit AbsentInputs(Absent treatment) : treatment_(treatment) {}

  // What `read` gives; where it throws MissingInput, and absence is assumed, what `assume` gives.
  template <class Read, class Assume>
  auto read_or(const Read& read, const Assume& assume) const {
    if (treatment_ == Absent::fails) return read();
    try {
      return read();
    } catch (const MissingInput&) {
      return assume();
    }
  }

  // Remembers it; returns what stands for its content in the parameters of tasks.
  std::string identity_of(const AbsentInput& input);
  bool holds(const std::string& identity) const { return identities_.contains(identity); }
  // Whether parameters hold such an identity.
  bool are_in(const Json& parameters) const;

  const std::map<std::string, AbsentInput>& by_path() const { return by_path_; }

 private:
  Absent treatment_;
  std::map<std::string, AbsentInput> by_path_;
  std::set<std::string> identities_;
};

}  // namespace cmc::stages
