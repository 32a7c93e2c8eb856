#include "pipeline/text/read_token_model.hpp"

#include "pipeline/core/error.hpp"
#include "pipeline/text/bpe_model.hpp"
#include "pipeline/text/unigram_model.hpp"

namespace cmc::text {

std::unique_ptr<const TokenModel> read_token_model(const TokenizerFile& file) {
  const std::string where = file.name + ": model";
  // Older files do not name the model: scores tell which it is.
  const auto type =
      json_field_or<std::string>(file.rest.at("model"), "type", file.scored.empty() ? "BPE" : "Unigram", where);
  if (type == "BPE") return std::make_unique<BpeModel>(file);
  if (type == "Unigram") return std::make_unique<UnigramModel>(file);
  throw BadData({where + ".type", "is \"" + type + "\", a model this reader does not know",
                 "known are BPE and Unigram, which language models that write text use"});
}

}  // namespace cmc::text
