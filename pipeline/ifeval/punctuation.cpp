// Rules on punctuation.
#include "pipeline/ifeval/rule.hpp"

namespace cmc::ifeval {

Check no_comma(const Kwargs&) {
  return [](std::string_view response) { return response.find(',') == std::string_view::npos; };
}

}  // namespace cmc::ifeval
