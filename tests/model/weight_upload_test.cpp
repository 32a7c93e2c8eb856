// Brought by several threads in small pieces, weights are what one copy gives.
#include "pipeline/model/weight_upload.hpp"

#include <gtest/gtest.h>

namespace cmc::model {
namespace {

TEST(WeightUpload, GivesWhatOneCopyGives) {
  const std::vector<std::pair<Slices, Slices>> parts = {{all_of(37), all_of(20)},
                                                        {{37, {{3, 5}, {20, 17}}}, all_of(20)},
                                                        {all_of(37), {20, {{4, 9}}}},
                                                        {{37, {{0, 1}, {5, 1}, {36, 1}}}, {20, {{0, 3}, {10, 10}}}},
                                                        {{37, {{0, 18, 2}, {1, 18, 2}}}, {20, {{1, 6, 3}}}}};
  for (const int64_t buffer : {40, 100, 1 << 20}) {  // shorter than a row, than a matrix, longer than all
    WeightUpload upload(torch::kCPU, 3, buffer);
    std::vector<torch::Tensor> targets, expected;
    for (int repeat = 0; repeat < 20; ++repeat) {
      for (const auto& [rows, columns] : parts) {
        for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
          const torch::Tensor stored = torch::randn({37, 20});
          targets.push_back(torch::full({rows.count(), columns.count()}, std::nan(""), type));
          expected.push_back(torch::empty_like(targets.back()));
          copy_slices(stored, rows, columns, expected.back());
          upload.add(stored, rows, columns, targets.back());
        }
      }
    }
    upload.finish();
    for (size_t i = 0; i < targets.size(); ++i) ASSERT_TRUE(torch::equal(targets[i], expected[i])) << i;
  }
}

TEST(WeightUpload, TellsWhatAThreadThrew) {
  WeightUpload upload(torch::kCPU, 2, 1 << 20);
  upload.add(torch::empty({4, 5}, torch::kMeta), all_of(4), all_of(5), torch::zeros({4, 5}));  // holds no numbers
  EXPECT_THROW(upload.finish(), c10::Error);
}

TEST(WeightUpload, MayBeGivenUp) {
  WeightUpload upload(torch::kCPU, 2, 64);
  torch::Tensor target = torch::zeros({100, 8});
  for (int i = 0; i < 50; ++i) upload.add(torch::ones({100, 8}), all_of(100), all_of(8), target);
}  // no thread is left behind, and none writes to what is gone

}  // namespace
}  // namespace cmc::model
