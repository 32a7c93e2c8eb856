#pragma once

namespace cmc::cpu {

// What the loops of this folder may use of the processor. Both sets give the same bits.
enum class InstructionSet { none, avx2, avx512 };  // avx2: with FMA

// The best that this processor has and ATEN_CPU_CAPABILITY (default, avx2, avx512: PyTorch's variable for its own
// kernels) allows.
InstructionSet instruction_set();

}  // namespace cmc::cpu
