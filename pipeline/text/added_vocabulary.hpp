#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "pipeline/text/added_tokens.hpp"
#include "pipeline/text/token_model.hpp"

namespace cmc::text {

// The tokens beside a model's own, with ids as the tokenizers library gives them: a token that the model knows keeps
// its id, any other gets the next free one, whatever a file says. Added again with other flags, the later flags count.
class AddedVocabulary {
 public:
  explicit AddedVocabulary(const TokenModel& model) : model_(&model) {}

  int32_t add(const AddedToken& token);               // its id; -1 for an empty one, which is no token
  int32_t id_of(const std::string& content) const;    // of an added token or of the model's; -1: none
  bool is_special(const std::string& content) const;  // once special, always: left out when decoding skips those
  // Added as normalized at some time: the library goes on to write it in that form when decoding.
  bool was_normalized(int32_t id) const { return normalized_.contains(id); }
  const std::map<int32_t, AddedToken>& tokens() const { return tokens_; }
  bool contains(const std::string& content) const;  // among the added ones

 private:
  const TokenModel* model_;
  std::map<int32_t, AddedToken> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_set<std::string> special_;
  std::unordered_set<int32_t> normalized_;
};

}  // namespace cmc::text
