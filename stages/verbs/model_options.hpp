#pragma once
#include <memory>
#include <optional>

#include "pipeline/fusion/fused_source.hpp"
#include "pipeline/text/prompt_template.hpp"
#include "stages/verbs/verb.hpp"
#include "stages/workbench/workbench.hpp"

namespace cmc::stages {

// --model, --delta, --alpha, --map, --top, --unmapped, --mode, --device, --dtype, --batch, --tensor-parallel: shared by
// generate and score.
void add_model_options(boost::program_options::options_description& options);
// --contrast: of generate and score, which know what a prompt asks.
void add_contrast_option(boost::program_options::options_description& options);
// Whether this rank does anything: rank 0 alone, unless the target is split over all. Rank 0 alone prints.
bool takes_part(const Arguments& arguments, const distributed::Session& session);

struct LoadedPair {
  std::unique_ptr<fusion::LogitSource> source;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::vector<std::shared_ptr<const text::Tokenizer>> delta_tokenizers;  // [deltas] null: in the same vocabulary
  std::optional<text::PromptTemplate> contrast;                          // what the last delta reads: the target itself
  fusion::Steering steering;
  std::vector<int32_t> end_tokens;
};
// All deltas that are given steer every text. Throws BadData when a delta's vocabulary is not that of its tokenizer.
LoadedPair load_pair(const Arguments& arguments, const distributed::Session& session);

}  // namespace cmc::stages
