// A CUDA driver's library with two cards, for the test of what cards() reads.
#include <cstddef>
#include <cstring>

extern "C" {

int cuInit(unsigned) {
  return 0;
}
int cuDeviceGetCount(int* count) {
  return *count = 2, 0;
}
int cuDeviceGet(int* device, int ordinal) {
  return *device = 70 + ordinal, 0;
}
int cuDeviceGetName(char* name, int length, int device) {
  return std::strncpy(name, device == 70 ? "First Card" : "Second Card", static_cast<size_t>(length)), 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  const bool first = device == 70;
  *value = attribute == 16   ? (first ? 132 : 108)
           : attribute == 75 ? (first ? 9 : 8)
           : attribute == 76 ? (first ? 0 : 6)
                             : -1;
  return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  return *bytes = (device == 70 ? 80ull : 48ull) << 30, 0;
}

}  // extern "C"
