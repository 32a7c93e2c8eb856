#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/data/ifeval.hpp"
#include "pipeline/ifeval/rule.hpp"

namespace cmc::ifeval {

// strict: of the response as it is; loose: of it, or of what is left of it without its first line, its last or both,
// each also without its asterisks (Zhou et al. 2023, section 2.2).
struct Verdict {
  bool strict = false, loose = false;
};

// An instruction whose fulfilment a program checks, as the authors' instructions.py does; docs/method.md names where
// verdicts differ. Immutable; safe to share between threads.
class Instruction {
 public:
  // Throws BadData naming place and kwarg: an id that is not known, a kwarg that is missing, not one of the id's or of
  // another type, or a word that is no regular expression.
  explicit Instruction(const data::IfevalInstruction& given);

  const std::string& id() const { return id_; }
  // A response that is empty or white space follows nothing.
  Verdict verdict(std::string_view response) const;

 private:
  bool follows(std::string_view response) const;
  std::string id_;
  Check check_;
};

// Of a prompt, in its order.
std::vector<Instruction> instructions_of(const data::IfevalItem& item);

// The ids that are known, sorted.
std::vector<std::string> known_ids();

}  // namespace cmc::ifeval
