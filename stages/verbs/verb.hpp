#pragma once
#include <boost/program_options.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/error.hpp"
#include "pipeline/core/range.hpp"
#include "pipeline/distributed/session.hpp"

namespace cmc::stages {

// One verb of `cmc`. `arguments`: what follows the verb on the command line.
struct Verb {
  std::string_view name;
  std::string_view summary;  // one line
  ExitCode (*run)(const std::vector<std::string>& arguments, const distributed::Session& session);
  bool stops_when_asked = false;  // USR2, INT and TERM ask it to stop at its next checkpoint, from before MPI starts
};

const std::vector<Verb>& verbs();
extern const Verb run_verb, plan_verb, status_verb, verify_verb, tokenize_verb, map_verb, generate_verb, score_verb,
    serve_verb, bench_verb, export_verb, import_verb, keys_verb, doctor_verb;

// The arguments of one verb by Boost.Program_options: options, then positional ones by name in order.
class Arguments {
 public:
  // `usage`: "run EXPERIMENT.ini [options]". `optional`: options that may be given by place, too, behind the positional
  // ones. Throws Usage for unknown or missing options, naming the verb's help.
  Arguments(std::string usage, boost::program_options::options_description options, std::vector<std::string> positional,
            std::vector<std::string> optional = {});

  // False when --help was asked for and printed.
  bool parse(const std::vector<std::string>& arguments);
  bool has(const std::string& name) const { return values_.count(name) > 0; }
  template <class T = std::string>
  T get(const std::string& name) const {
    if (!has(name)) throw Usage({"cmc " + usage_, name + " is missing", "see --help"});
    return values_[name].as<T>();
  }
  // Whether the user gave it: a default is none.
  bool given(const std::string& name) const { return has(name) && !values_[name].defaulted(); }
  // A number within `range`. Throws Usage naming the option, its value and what is allowed.
  template <class T>
  T number(const std::string& name, const Range& range) const {
    const T value = get<T>(name);
    if (!range.holds(static_cast<double>(value))) out_of_range(name, static_cast<double>(value), range);
    return value;
  }
  // The same of each, where the option may be repeated.
  template <class T>
  std::vector<T> numbers(const std::string& name, const Range& range) const {
    const auto values = get<std::vector<T>>(name);
    for (const T value : values)
      if (!range.holds(static_cast<double>(value))) out_of_range(name, static_cast<double>(value), range);
    return values;
  }
  // Throws Usage where one of `names` was given: `why` it has no effect.
  void expect_not_given(const std::vector<std::string>& names, const std::string& why) const;

 private:
  [[noreturn]] static void out_of_range(const std::string& name, double value, const Range& range);

  std::string usage_;
  boost::program_options::options_description options_;
  std::vector<std::string> positional_, optional_;
  boost::program_options::variables_map values_;
};

}  // namespace cmc::stages
