#include "stages/memory_retry.hpp"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

namespace cmc::stages {

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) || dynamic_cast<const c10::OutOfMemoryError*>(&error)) return true;
  // LibTorch's allocator for the host throws no type of its own.
  return dynamic_cast<const c10::Error*>(&error) &&
         std::string_view(error.what()).find("DefaultCPUAllocator: ") != std::string_view::npos;
}

store::Unit with_less_memory(const std::function<store::Unit()>& work, const std::function<bool()>& spare) {
  for (;;) {
    try {
      return work();
    } catch (const std::exception& error) {
      if (!is_out_of_memory(error) || !spare()) throw;
    }
  }
}

}  // namespace cmc::stages
