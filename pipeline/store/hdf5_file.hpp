#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A thin owner layer over HDF5's C API. Every failure throws with the file and the object's path in it; the library
// itself prints nothing. <hdf5.h> stays in the source files. The serial library is not thread-safe: hold
// `library_lock()` while any Object lives.
namespace cmc::store {

std::unique_lock<std::recursive_mutex> library_lock();

using Id = int64_t;  // HDF5's hid_t

// Owns one HDF5 id; movable.
class Handle {
 public:
  using Close = int (*)(Id);
  Handle() = default;
  Handle(Id id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Id id() const { return id_; }
  Id release() { return std::exchange(id_, -1); }

 private:
  Id id_ = -1;
  Close close_ = nullptr;
};

// An open group or dataset, and how to name it in an error: "units/ab/….h5: /loss".
struct Object {
  Handle handle;
  std::string where;
  Id id() const { return handle.id(); }
};

enum class Failure { reading, writing };
// Throws BadData (reading: the file is malformed) or IoError (writing) with HDF5's own innermost message.
[[noreturn]] void throw_hdf5(const std::string& where, const std::string& doing, Failure failure);

inline Handle own(Id id, Handle::Close close, const std::string& where, const char* doing, Failure failure) {
  if (id < 0) throw_hdf5(where, doing, failure);
  return {id, close};
}
inline void check(int status, const std::string& where, const char* doing, Failure failure) {
  if (status < 0) throw_hdf5(where, doing, failure);
}

// A whole HDF5 file in memory (core driver): nothing on disk is ever open.
class MemoryFile {
 public:
  // Empty, format bounds v1.10, no times, links and groups in order of creation. `where` names it in errors.
  static MemoryFile create(std::string where);
  // Throws BadData when `image` is not an HDF5 file. The bytes are copied.
  static MemoryFile open(std::string_view image, std::string where);
  const Object& root() const { return root_; }
  // Closes a created file, and every object still open in it, and gives its bytes.
  std::string close();

 private:
  // Where the core driver keeps a created file; outlives its close. H5Fget_file_image will not do: in 1.10 it clears
  // the status flags of a version 3 superblock and leaves the checksum, so that its bytes cannot be opened.
  struct Buffer {
    void* data = nullptr;
    size_t size = 0;
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();
  };
  MemoryFile(std::unique_ptr<Buffer> buffer, Handle file, std::string where);

  std::unique_ptr<Buffer> buffer_;
  Handle file_;
  Object root_;
};

Object create_group(const Object& parent, const std::string& name);
Object open_group(const Object& parent, const std::string& name);
Object open_dataset(const Object& parent, const std::string& name);
enum class Kind { group, dataset, other };
struct Link {
  std::string name;
  Kind kind;
};
std::vector<Link> links(const Object& group);  // in order of creation where the file keeps it, else by name
std::string child_where(const Object& parent, const std::string& name);

// Attributes. Text is variable-length UTF-8.
void write_attribute(const Object& object, const char* name, std::string_view text);
void write_attribute(const Object& object, const char* name, double number);
void write_attribute(const Object& object, const char* name, int64_t number);
void write_attribute(const Object& object, const char* name, std::span<const int64_t> numbers);
bool has_attribute(const Object& object, const char* name);
std::string read_text_attribute(const Object& object, const char* name);  // BadData when missing or not text
std::vector<int64_t> read_integers_attribute(const Object& object, const char* name);

// Variable-length UTF-8 string type.
Handle text_type();

}  // namespace cmc::store
