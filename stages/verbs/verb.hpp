#pragma once
#include <boost/program_options.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/core/error.hpp"
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
    bench_verb, export_verb, import_verb, keys_verb, doctor_verb;

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

 private:
  std::string usage_;
  boost::program_options::options_description options_;
  std::vector<std::string> positional_, optional_;
  boost::program_options::variables_map values_;
};

}  // namespace cmc::stages
