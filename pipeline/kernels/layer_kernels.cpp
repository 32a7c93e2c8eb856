// What a decoder layer launches: arguments checked, then the body of their type.
#include "pipeline/kernels/add_norm_body.hpp"
#include "pipeline/kernels/attend_cache_body.hpp"
#include "pipeline/kernels/embed_body.hpp"
#include "pipeline/kernels/gate_body.hpp"
#include "pipeline/kernels/launch.hpp"
#include "pipeline/kernels/rope_cache_body.hpp"

namespace cmc::kernels {
namespace {

template <template <class> class Body, class Arguments>
void run_typed(Type type, const Arguments& arguments, const Queue& queue) {
  if (type == Type::float32)
    run<Body<float>>(arguments, queue);
  else
    run<Body<Bfloat16>>(arguments, queue);
}

}  // namespace

void embed(const Embed& a, const Queue& queue) {
  expect(a.table != nullptr && a.tokens != nullptr && a.out != nullptr && a.width > 0, "embed: a table and tokens");
  expect((a.chosen == nullptr) == (a.slots == nullptr), "embed: choices come with the slots that made them");
  run_typed<EmbedBody>(a.type, a, queue);
}

void add_norm(const AddNorm& a, const Queue& queue) {
  expect(a.residual != nullptr && a.width > 0, "add_norm: a residual");
  expect(a.branch != nullptr || !a.branch_norm.is_there, "add_norm: a branch's norm comes with the branch");
  expect(a.norm.is_there == (a.out != nullptr), "add_norm: a norm has an output");
  run_typed<AddNormBody>(a.type, a, queue);
}

void rope_cache(const RopeCache& a, const Queue& queue) {
  expect(a.dim > 0 && a.dim % 2 == 0 && a.heads > 0 && a.kv_heads > 0, "rope_cache: heads of even size");
  expect(a.joined != nullptr && a.query != nullptr && a.keys != nullptr && a.values != nullptr, "rope_cache: tensors");
  expect(a.cosine != nullptr && a.sine != nullptr && a.slots != nullptr && a.places != nullptr, "rope_cache: indices");
  run_typed<RopeCacheBody>(a.type, a, queue);
}

void gate(const Gate& a, const Queue& queue) {
  expect(a.joined != nullptr && a.out != nullptr && a.width > 0, "gate: tensors");
  run_typed<GateBody>(a.type, a, queue);
}

int64_t attend_workspace(int64_t dim) {
  // Keys are split only where there are fewer blocks than wanted, then into less than twice as many.
  return 4 * AttendSplit::blocks * (1 + 2 * AttendSplit::heads * (dim + 2));
}

void attend_cache(const AttendCache& a, const Queue& queue) {
  expect(a.dim > 0 && a.dim <= attend_largest_dim, "attend_cache: heads of at most 512 numbers");
  expect(a.kv_heads > 0 && a.heads % a.kv_heads == 0 && a.capacity > 0, "attend_cache: key heads divide query heads");
  expect(a.query != nullptr && a.keys != nullptr && a.values != nullptr && a.out != nullptr, "attend_cache: tensors");
  expect(a.slots != nullptr && a.places != nullptr && a.workspace != nullptr, "attend_cache: indices and workspace");
  if (a.count > 0) run_typed<AttendCacheBody>(a.type, attend_launch(a), queue);
}

}  // namespace cmc::kernels
