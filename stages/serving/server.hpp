#pragma once
#include <ostream>

#include "pipeline/distributed/communicator.hpp"
#include "stages/serving/line_input.hpp"
#include "stages/serving/protocol.hpp"

namespace cmc::stages {

// Greets, then answers each line {"id": …, "method": …, "requests": [...]} with one line {"id", "answers": [...]}, or
// {"id", "error": {"where", "what", "remedy", "code"}} which changes nothing for the lines that follow, until the lines
// end. Collective over the ranks that share the model: rank 0 reads and writes. Throws Stopped, and IoError of its
// pipes.
void serve(LineInput& input, std::ostream& output, Protocol& protocol, const distributed::Communicator& ranks);

}  // namespace cmc::stages
