#pragma once
#include <cstdint>
#include <memory>

#include "pipeline/text/tokenizer.hpp"

namespace cmc::stages {

// A byte-level BPE vocabulary of `size` made-up pieces (letters, then random merges of what there is), read by the same
// code as a real tokenizer.json: what re-encoding costs does not depend on what words mean. Two seeds share the short
// pieces and differ in most of the long ones, as the vocabularies of two families of models do.
std::shared_ptr<const text::Tokenizer> made_up_tokenizer(int64_t size, uint64_t seed);

}  // namespace cmc::stages
