#include "pipeline/kernels/add_norm_body.hpp"
#include "pipeline/kernels/attend_cache_body.hpp"
#include "pipeline/kernels/device_launch.cuh"
#include "pipeline/kernels/embed_body.hpp"
#include "pipeline/kernels/gate_body.hpp"
#include "pipeline/kernels/rope_cache_body.hpp"

namespace cmc::kernels {

template void launch_on_device<EmbedBody<float>>(const Embed&, void*);
template void launch_on_device<EmbedBody<Bfloat16>>(const Embed&, void*);
template void launch_on_device<AddNormBody<float>>(const AddNorm&, void*);
template void launch_on_device<AddNormBody<Bfloat16>>(const AddNorm&, void*);
template void launch_on_device<RopeCacheBody<float>>(const RopeCache&, void*);
template void launch_on_device<RopeCacheBody<Bfloat16>>(const RopeCache&, void*);
template void launch_on_device<GateBody<float>>(const Gate&, void*);
template void launch_on_device<GateBody<Bfloat16>>(const Gate&, void*);
template void launch_on_device<AttendCacheBody<float>>(const AttendLaunch&, void*);
template void launch_on_device<AttendCacheBody<Bfloat16>>(const AttendLaunch&, void*);

}  // namespace cmc::kernels
