#pragma once
#include <string>
#include <vector>

#include "pipeline/text/chat_renderer.hpp"
#include "pipeline/text/prompt_template.hpp"

namespace cmc::text {

// The renderer's chat template as the text before a question and the text after it: what one user turn becomes. Found
// by asking made-up questions, and held against the template with many others (white space at the ends, marks of chats,
// every text that stands in the template) and with `questions`, those that are known to be asked. Throws BadData naming
// what depends on the question in another way, and what to do.
PromptTemplate chat_prompt(ChatRenderer& renderer, const std::vector<std::string>& questions);

}  // namespace cmc::text
