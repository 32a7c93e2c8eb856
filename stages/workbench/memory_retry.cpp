#include "stages/workbench/memory_retry.hpp"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <new>
#include <numeric>
#include <string_view>
#include <vector>

#include "pipeline/distributed/give_up.hpp"

namespace cmc::stages {
namespace {

// What libraries write that throw no type of their own.
constexpr std::array<std::string_view, 8> signs_of_full_memory = {
    "DefaultCPUAllocator: ",          // LibTorch's host allocator
    "CUDA out of memory",             // LibTorch's device allocator, from a thread that lost the type
    "CUDA error: out of memory",      // the CUDA runtime: pinned host memory, a context, a module
    "CUBLAS_STATUS_ALLOC_FAILED",     // workspaces and handles of the libraries
    "CUBLAS_STATUS_NOT_INITIALIZED",  // what cublasCreate says when its handle finds no room
    "CUDNN_STATUS_ALLOC_FAILED",
    "Cuda failure 2 'out of memory'",  // NCCL's last error
    "Cuda failure 'out of memory'"};

enum class Outcome : char { done = 'd', abandoned = 'a', out_of_memory = 'm', failed = 'f' };  // the later, the graver

Outcome gravest(const std::vector<std::string>& outcomes) {
  for (const Outcome outcome : {Outcome::failed, Outcome::out_of_memory, Outcome::abandoned})
    if (std::ranges::count(outcomes, std::string(1, static_cast<char>(outcome))) > 0) return outcome;
  return Outcome::done;
}

struct Attempt {
  Outcome outcome = Outcome::done;
  store::Unit unit = {};
  std::exception_ptr error = {};

  void throw_error() const {
    if (error) std::rethrow_exception(error);
    throw distributed::GroupAbandoned();
  }
};

Attempt attempted(const std::function<store::Unit(const distributed::Communicator&)>& work,
                  const distributed::Communicator& group) {
  Attempt attempt;
  try {
    attempt.unit = work(group);
    return attempt;
  } catch (const distributed::GroupAbandoned&) {
    attempt = {Outcome::abandoned, {}, std::current_exception()};
  } catch (const std::exception& error) {
    attempt = {is_out_of_memory(error) ? Outcome::out_of_memory : Outcome::failed, {}, std::current_exception()};
  }
  distributed::give_up(group);
  return attempt;
}

// What became of the attempt on the rank that fared worst.
Outcome agreed(const Attempt& mine, const distributed::Communicator& ranks) {
  try {
    return gravest(ranks.all_gather(std::string(1, static_cast<char>(mine.outcome))));
  } catch (const distributed::GroupAbandoned&) {  // a rank is gone: what happened here tells more
    mine.throw_error();
    throw;
  }
}

}  // namespace

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) || dynamic_cast<const c10::OutOfMemoryError*>(&error)) return true;
  if (dynamic_cast<const c10::Error*>(&error) == nullptr) return false;
  const std::string_view said = error.what();
  return std::ranges::any_of(signs_of_full_memory, [&](std::string_view sign) { return said.find(sign) != said.npos; });
}

const distributed::Communicator& Attempts::group() {
  if (group_.size() == 1 && ranks_.size() > 1) {
    std::vector<int> all(static_cast<size_t>(ranks_.size()));
    std::iota(all.begin(), all.end(), 0);
    group_ = ranks_.group(all, number_++ % distributed::group_ids);
  }
  return group_;
}

store::Unit with_less_memory(Attempts& attempts,
                             const std::function<store::Unit(const distributed::Communicator& group)>& work,
                             const std::function<bool()>& spare) {
  for (;;) {
    Attempt attempt = attempted(work, attempts.group());
    const Outcome outcome = agreed(attempt, attempts.ranks());
    if (outcome == Outcome::done) return std::move(attempt.unit);
    attempts.renew();
    if (outcome != Outcome::out_of_memory || !spare()) attempt.throw_error();
  }
}

}  // namespace cmc::stages
