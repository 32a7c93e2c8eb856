#pragma once
#include <filesystem>

namespace cmc::checkpoint {

// Throws MissingInput for a folder without model.safetensors, pytorch_model.bin or an index of either: names what is
// there instead (a GGUF file, a variant, the authors' own format, weights of another library, a download that did not
// finish, shards without their index, …) and what to do.
[[noreturn]] void throw_without_weights(const std::filesystem::path& folder);

}  // namespace cmc::checkpoint
