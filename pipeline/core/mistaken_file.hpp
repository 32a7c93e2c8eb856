#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cmc {

// Throws BadData when the first bytes of a file of `file_bytes` bytes show that it is not what its name says but what
// a fetch that went wrong leaves behind: nothing, zeros, a Git LFS pointer, a server's error page; or an archive or a
// GGUF file. Says which, and what to do. `start` need not be the whole file; a few hundred bytes are enough.
void check_not_mistaken(std::string_view start, uint64_t file_bytes, const std::string& where);

}  // namespace cmc
