#include "pipeline/checkpoint/safetensors_writer.hpp"

#include "pipeline/checkpoint/tensor_file.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"
#include "pipeline/core/output_file.hpp"

namespace cmc::checkpoint {

namespace {

StoredType stored_type(torch::Dtype type) {
  for (int kind = 0; kind <= static_cast<int>(StoredType::boolean); ++kind) {
    if (torch_type(static_cast<StoredType>(kind)) == type) return static_cast<StoredType>(kind);
  }
  throw Internal({"safetensors", "tensor of a type that cannot be stored", ""});
}

// Eight bytes of length, then JSON padded with spaces so that the data starts aligned, as the reference writes it.
std::string make_header(const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    expect(!header.contains(name), "tensor names are unique");
    const uint64_t end = at + tensor.nbytes();
    header[name] = {{"dtype", stored_name(stored_type(tensor.scalar_type()))},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  const auto temporary = temporary_beside(file);
  try {
    OutputFile out(temporary, file);
    out.write(make_header(tensors));
    for (const auto& [name, tensor] : tensors) {
      const torch::Tensor host = tensor.detach().to(torch::kCPU).contiguous();
      out.write({static_cast<const char*>(host.const_data_ptr()), host.nbytes()});
    }
    out.finish();
    rename_into_place(temporary, file);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
  sync_folder(file.parent_path(), file);
}

}  // namespace cmc::checkpoint
