#include "pipeline/checkpoint/tensor_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "pipeline/checkpoint/safetensors_header.hpp"
#include "pipeline/checkpoint/torch_file.hpp"
#include "pipeline/core/error.hpp"

namespace cmc::checkpoint {

namespace {

struct Mapping {
  std::shared_ptr<const void> bytes;  // unmaps when the last view dies
  uint64_t size = 0;
};

Mapping map_file(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO would be waited for
  if (descriptor < 0) throw MissingInput({file.string(), std::strerror(errno), "check the path"});
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    ::close(descriptor);
    throw MissingInput({file.string(), "is no file that can be read", "check the path"});
  }
  const auto size = static_cast<size_t>(facts.st_size);
  if (size == 0) {
    ::close(descriptor);
    return {};
  }
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int problem = errno;
  ::close(descriptor);
  if (address == MAP_FAILED)
    throw IoError({file.string(), std::string("cannot be mapped: ") + std::strerror(problem), ""});
  return {std::shared_ptr<const void>(address, [size](const void* at) { ::munmap(const_cast<void*>(at), size); }),
          size};
}

}  // namespace

torch::Dtype torch_type(StoredType type) {
  switch (type) {
    case StoredType::f64:
      return torch::kFloat64;
    case StoredType::f32:
      return torch::kFloat32;
    case StoredType::f16:
      return torch::kFloat16;
    case StoredType::bf16:
      return torch::kBFloat16;
    case StoredType::i64:
      return torch::kInt64;
    case StoredType::i32:
      return torch::kInt32;
    case StoredType::i16:
      return torch::kInt16;
    case StoredType::i8:
      return torch::kInt8;
    case StoredType::u8:
      return torch::kUInt8;
    case StoredType::boolean:
      return torch::kBool;
  }
  throw Internal({"tensor file", "type outside the enumeration", ""});
}

TensorFile::TensorFile(const std::filesystem::path& file) : name_(file.string()) {
  const Mapping mapping = map_file(file);
  mapping_ = mapping.bytes;
  const std::string_view bytes(static_cast<const char*>(mapping_.get()), mapping.size);
  tensors_ = file.extension() == ".safetensors" ? parse_safetensors_header(bytes, mapping.size, name_).tensors
                                                : parse_torch_file(bytes, name_);
}

torch::Tensor TensorFile::view(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw BadData({name_, "holds no tensor " + name, "the folder is incomplete"});
  const StoredTensor& tensor = found->second;
  const auto options = torch::TensorOptions().dtype(torch_type(tensor.type));
  if (tensor.begin == tensor.end) return torch::empty(tensor.shape, options);
  char* const bytes = const_cast<char*>(static_cast<const char*>(mapping_.get())) + tensor.begin;
  const auto viewed = [&](char* at, auto keep) {
    const auto drop = [keep](void*) {};
    return tensor.strides.empty() ? torch::from_blob(at, tensor.shape, drop, options)
                                  : torch::from_blob(at, tensor.shape, tensor.strides, drop, options).contiguous();
  };
  if (reinterpret_cast<uintptr_t>(bytes) % static_cast<uintptr_t>(bytes_per_element(tensor.type)) == 0)
    return viewed(bytes, mapping_);
  // Offsets need not be aligned in old files; torch reads through typed pointers, so copy those.
  const torch::Tensor copy = torch::empty({static_cast<int64_t>(tensor.end - tensor.begin)}, torch::kUInt8);
  std::memcpy(copy.data_ptr(), bytes, tensor.end - tensor.begin);
  return viewed(static_cast<char*>(copy.data_ptr()), copy);
}

}  // namespace cmc::checkpoint
