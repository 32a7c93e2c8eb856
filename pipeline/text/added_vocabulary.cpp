#include "pipeline/text/added_vocabulary.hpp"

#include <algorithm>

namespace cmc::text {

int32_t AddedVocabulary::id_of(const std::string& content) const {
  const auto added = ids_.find(content);
  return added != ids_.end() ? added->second : model_->id_of(content);
}

bool AddedVocabulary::is_special(const std::string& content) const {
  return special_.contains(content);
}

bool AddedVocabulary::contains(const std::string& content) const {
  const auto found = ids_.find(content);
  return found != ids_.end() && tokens_.at(found->second).content == content;
}

int32_t AddedVocabulary::add(const AddedToken& token) {
  if (token.content.empty()) return -1;
  if (token.special) special_.insert(token.content);
  int32_t id = id_of(token.content);
  if (id < 0) {
    // The largest id of an added token counts, also of those that the model has.
    const int32_t largest = tokens_.empty() ? -1 : tokens_.rbegin()->first;
    id = std::max(largest + 1, model_->entries());
  }
  ids_[token.content] = id;
  tokens_[id] = token;
  if (token.normalized) normalized_.insert(id);
  return id;
}

}  // namespace cmc::text
