#include "pipeline/fusion/not_finite.hpp"

#include "pipeline/core/error.hpp"

namespace cmc::fusion {

void throw_not_finite() {
  throw BadData({"logits", "hold no finite score (NaN or infinity)",
                 "check the checkpoint's weights and the strength alpha; use float32 or bfloat16, not float16"});
}

}  // namespace cmc::fusion
