#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/evaluation_parameters.hpp"
#include "pipeline/store/unit.hpp"

namespace cmc::records {

// What a task is about, of any stage: columns of /tasks and /plan, plain attributes of its unit.
struct TaskLabels {
  System system;                  // its strength: NaN where the task has several; method none where it is for several
  std::vector<double> strengths;  // of an evaluation
  std::string set;                // what is measured on: "plain", "forget", "judged by gemma against reference"
  std::string purpose;            // of a training: "instruct", "unlearn", "other"
  // Of an evaluation: what its model (of a judge: the judge) reads before and after a question; "" in earlier versions.
  std::string prompt_before, prompt_after;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    System::fields(self.system, visit);
    visit("strengths", self.strengths, Presence::optional);
    visit("set", self.set, Presence::optional);
    visit("purpose", self.purpose, Presence::optional);
    visit("prompt_before", self.prompt_before, Presence::optional);
    visit("prompt_after", self.prompt_after, Presence::optional);
  }
  // One for each strength.
  std::vector<System> systems() const;
};

// A task of a plan, or that a unit was made by.
struct PlannedTask {
  std::string key, stage, name;
  Json parameters;
  std::vector<std::string> inputs;
};

// From the parameters of a task, or the `task` of a unit; of earlier versions, too. An unknown stage has none. Throws
// BadData naming `where` and the field.
TaskLabels labels_of(const std::string& stage, const Json& parameters, const std::string& where);

// The set that IFEval's instructions stand under together; those of one kind stand under its id.
inline constexpr std::string_view ifeval_set = "ifeval";

// The set that a judge's verdicts are measured on.
std::string judged_set(const std::string& judge, const std::string& baseline);
std::string unread_set(std::string_view part);  // UnreadPart's name
inline constexpr std::string_view byte_exact_set = "byte-exact reference";
std::string shift_set(const std::string& reference);  // that shifts are measured on: the reference's answers

// The seed each task belongs to: the one it or its training names, or that of what it was made from.
class Seeds {
 public:
  void add(const std::string& key, const Json& parameters, const std::vector<std::string>& inputs);
  bool knows(const std::string& key) const { return tasks_.contains(key); }
  std::optional<int64_t> of(const std::string& key) const;

 private:
  struct Known {
    std::optional<int64_t> named;
    std::vector<std::string> inputs;
  };
  std::map<std::string, Known> tasks_;
  mutable std::map<std::string, std::optional<int64_t>> found_;
};

}  // namespace cmc::records
