#pragma once
#include <string>
#include <string_view>

#include "pipeline/checkpoint/stored_tensor.hpp"

namespace cmc::checkpoint {

// The tensors of a file that torch.save wrote (a zip archive, or before torch 1.6 pickles one after the other): a dict
// or OrderedDict from names to tensors or parameters. Nothing is run (pickle_reader.hpp). Entries that are no tensors
// are left, as transformers does. `bytes` is the whole file; where its numbers lie is in the result.
// Throws BadData or Refused naming `where`.
StoredTensors parse_torch_file(std::string_view bytes, const std::string& where);

}  // namespace cmc::checkpoint
