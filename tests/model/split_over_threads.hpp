#pragma once
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/distributed/thread_transport.hpp"
#include "pipeline/model/decoder_model.hpp"

namespace cmc::model {

// Two ranks on threads of their own hold `whole` together: each is given its number and its part. A model packs its
// weights when it is first used, so what `work` compares with is each thread's own.
inline void split_over_threads(const DecoderModel& whole,
                               const std::function<void(int rank, const DecoderModel& part)>& work) {
  const auto folder = std::filesystem::temp_directory_path() / ("two_ranks_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  whole.save(folder);
  auto ranks = distributed::thread_ranks(2);
  std::vector<std::jthread> threads;
  for (const distributed::Communicator& rank : ranks)
    threads.emplace_back([&] {
      const torch::NoGradGuard no_gradients;
      work(rank.rank(), DecoderModel::load(folder, torch::kFloat32, torch::kCPU, {rank.rank(), 2})
                            .over(TensorGroup(rank, torch::kCPU)));
    });
  threads.clear();
  std::filesystem::remove_all(folder);
}

}  // namespace cmc::model
