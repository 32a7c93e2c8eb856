#include "pipeline/core/cards.hpp"

#include <dlfcn.h>

#include <memory>

namespace cmc {
namespace {

// The driver's interface (cuda.h), stable across its versions: 0 is success, a device is a number.
constexpr int multiprocessor_count = 16, capability_major = 75, capability_minor = 76;  // CUdevice_attribute

template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

struct Driver {
  using Init = int(unsigned);
  using Count = int(int*);
  using Get = int(int* device, int ordinal);
  using Name = int(char* name, int length, int device);
  using Attribute = int(int* value, int attribute, int device);
  using Memory = int(size_t* bytes, int device);

  explicit Driver(void* library)
      : init(symbol<Init>(library, "cuInit")),
        count(symbol<Count>(library, "cuDeviceGetCount")),
        get(symbol<Get>(library, "cuDeviceGet")),
        name(symbol<Name>(library, "cuDeviceGetName")),
        attribute(symbol<Attribute>(library, "cuDeviceGetAttribute")),
        memory(symbol<Memory>(library, "cuDeviceTotalMem_v2")) {}
  bool is_whole() const { return init && count && get && name && attribute && memory; }

  int attribute_of(int device, int which) const {
    int value = 0;
    return attribute(&value, which, device) == 0 ? value : 0;
  }

  Init* init;
  Count* count;
  Get* get;
  Name* name;
  Attribute* attribute;
  Memory* memory;
};

}  // namespace

std::vector<Card> cards(const char* driver_library) {
  // Never closed: LibTorch uses the same library, and a driver does not bear to be unloaded.
  void* const library = ::dlopen(driver_library, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {};
  const Driver driver(library);
  int count = 0;
  if (!driver.is_whole() || driver.init(0) != 0 || driver.count(&count) != 0) return {};
  std::vector<Card> found;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    int device = 0;
    char name[256] = "unnamed";
    size_t bytes = 0;
    if (driver.get(&device, ordinal) != 0) continue;
    driver.name(name, sizeof name, device);
    driver.memory(&bytes, device);
    found.push_back({name,
                     10 * driver.attribute_of(device, capability_major) + driver.attribute_of(device, capability_minor),
                     driver.attribute_of(device, multiprocessor_count), static_cast<int64_t>(bytes)});
  }
  return found;
}

}  // namespace cmc
