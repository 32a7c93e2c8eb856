#include "stages/all_stages.hpp"

namespace cmc::stages {

const std::vector<Stage>& stages() {
  static const std::vector<Stage> all = {pretrain_stage, token_map_stage,  prepare_stage,  train_stage,
                                         adapt_stage,    similarity_stage, instruct_stage, likelihood_stage,
                                         ifeval_stage,   byte_exact_stage, judge_stage,    unlearn_stage,
                                         relearn_stage,  robustness_stage};
  return all;
}

}  // namespace cmc::stages
