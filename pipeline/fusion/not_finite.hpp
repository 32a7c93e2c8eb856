#pragma once

namespace cmc::fusion {

// BadData: a row of logits holds no finite score.
[[noreturn]] void throw_not_finite();

}  // namespace cmc::fusion
