#include "pipeline/kernels/device_launch.cuh"
#include "pipeline/kernels/fused_sum_body.hpp"
#include "pipeline/kernels/ranking_body.hpp"

namespace cmc::kernels {

template void launch_on_device<BestBody>(const FusedChoice&, void*);
template void launch_on_device<DigitBody>(const Ranking&, void*);
template void launch_on_device<LocateBody>(const Ranking&, void*);
template void launch_on_device<LogSumBody>(const LogSum&, void*);
template void launch_on_device<FillBody>(const Fill&, void*);

}  // namespace cmc::kernels
