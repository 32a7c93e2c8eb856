// probe_token_map --from TOKENIZER --to TOKENIZER [--method NAME] [--compat NAME]
//   -> {"ids", "match", "candidates", "offsets", "coverage": [exact, inexact, unmapped], "seconds", "same",
//   "differences"}
#include <chrono>
#include <iostream>
#include <map>

#include "pipeline/core/error.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/token_map/token_map.hpp"

namespace {

using namespace cmc::token_map;

void run(std::map<std::string, std::string> options) {
  const auto base = cmc::text::load_tokenizer(options["--from"]);
  const auto delta = cmc::text::load_tokenizer(options["--to"]);
  options.emplace("--method", "pm_mined");
  options.emplace("--compat", "corrected");
  const auto start = std::chrono::steady_clock::now();
  const auto map = make_token_map(*base, *delta, method_named(options["--method"]), compat_named(options["--compat"]));
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  std::vector<int32_t> ids, match, candidates;
  for (const auto id : map.ids) ids.push_back(id.value);
  for (const auto how : map.match) match.push_back(static_cast<int32_t>(how));
  for (const auto id : map.candidates) candidates.push_back(id.value);
  const auto counts = coverage(map);
  std::cout << cmc::Json{{"ids", ids},
                         {"match", match},
                         {"candidates", candidates},
                         {"offsets", map.offsets},
                         {"coverage", {counts.exact, counts.inexact, counts.unmapped}},
                         {"seconds", spent.count()},
                         {"same", same_vocabulary(*base, *delta)},
                         {"differences", first_differences(*base, *delta)}}
            << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  try {
    run(options);
  } catch (const cmc::Error& error) {
    std::cerr << error.what() << '\n';
    return static_cast<int>(error.code());
  }
}
