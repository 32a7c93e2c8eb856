#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "pipeline/checkpoint/safetensors_file.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/json.hpp"

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

class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path file) : file_(std::move(file)) {
    descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor_ < 0) throw CannotCreate({file_.string(), std::strerror(errno), "check permissions and space"});
  }
  ~OutputFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const char* bytes, size_t count) {
    while (count > 0) {
      const ssize_t done = ::write(descriptor_, bytes, count);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) fail();
      bytes += done;
      count -= static_cast<size_t>(done);
    }
  }
  void finish() {
    if (::fsync(descriptor_) != 0) fail();
    const int result = ::close(descriptor_);
    descriptor_ = -1;
    if (result != 0) fail();
  }

 private:
  [[noreturn]] void fail() const {
    throw IoError({file_.string(), std::strerror(errno), "check the disk's free space"});
  }
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace

void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  const auto temporary = temporary_beside(file);
  try {
    OutputFile out(temporary);
    const std::string header = make_header(tensors);
    out.write(header.data(), header.size());
    for (const auto& [name, tensor] : tensors) {
      const torch::Tensor host = tensor.detach().to(torch::kCPU).contiguous();
      out.write(static_cast<const char*>(host.const_data_ptr()), host.nbytes());
    }
    out.finish();
    std::filesystem::rename(temporary, file);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

}  // namespace cmc::checkpoint
