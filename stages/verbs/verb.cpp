#include "stages/verbs/verb.hpp"

#include <iostream>
#include <sstream>

namespace cmc::stages {

namespace po = boost::program_options;

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {run_verb,    plan_verb,     status_verb, verify_verb, tokenize_verb,
                                        map_verb,    generate_verb, score_verb,  serve_verb,  bench_verb,
                                        export_verb, import_verb,   keys_verb,   doctor_verb};
  return all;
}

Arguments::Arguments(std::string usage, po::options_description options, std::vector<std::string> positional,
                     std::vector<std::string> optional)
    : usage_(std::move(usage)),
      options_(std::move(options)),
      positional_(std::move(positional)),
      optional_(std::move(optional)) {
  options_.add_options()("help,h", "this text");
}

bool Arguments::parse(const std::vector<std::string>& arguments) {
  po::options_description all = options_;
  po::positional_options_description places;
  for (const auto& name : positional_) {
    all.add_options()(name.c_str(), po::value<std::string>());
    places.add(name.c_str(), 1);
  }
  for (const auto& name : optional_) places.add(name.c_str(), 1);
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(places).run(), values_);
    if (values_.count("help")) {
      std::cout << "cmc " << usage_ << "\n\n" << options_;
      return false;
    }
    po::notify(values_);
  } catch (const po::error& error) {
    throw Usage({"cmc " + usage_, error.what(), "see --help"});
  }
  for (const auto& [name, value] : values_) {
    const auto* text = boost::any_cast<std::string>(&value.value());
    const auto* option = all.find_nothrow(name, false);
    const bool takes_value = option && option->semantic()->max_tokens() > 0;
    if (takes_value && text && text->empty() && name != "system")  // a chat's system text may be
      throw Usage({"cmc " + usage_, name + " is empty", "see --help"});
  }
  for (const auto& name : positional_) get(name);
  return true;
}

void Arguments::out_of_range(const std::string& name, double value, const Range& range) {
  std::ostringstream shown;
  shown << value;
  throw Usage({"--" + name + " " + shown.str(), "is out of range", "give a number " + text_of(range)});
}

void Arguments::expect_not_given(const std::vector<std::string>& names, const std::string& why) const {
  for (const auto& name : names)
    if (given(name)) throw Usage({"--" + name, "has no effect: " + why, "leave it out"});
}

}  // namespace cmc::stages
