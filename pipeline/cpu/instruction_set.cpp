#include "pipeline/cpu/instruction_set.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace cmc::cpu {

namespace {

InstructionSet of_processor() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return InstructionSet::none;
  return __builtin_cpu_supports("avx512f") ? InstructionSet::avx512 : InstructionSet::avx2;
#else
  return InstructionSet::none;
#endif
}

InstructionSet allowed() {
  const char* given = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string_view name = given == nullptr ? "" : given;
  return name == "default" ? InstructionSet::none : name == "avx2" ? InstructionSet::avx2 : InstructionSet::avx512;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet best = std::min(of_processor(), allowed());
  return best;
}

}  // namespace cmc::cpu
