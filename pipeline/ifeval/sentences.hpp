#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace cmc::ifeval {

// The sentences of a text, in the place of NLTK's Punkt, whose model is trained: a sentence ends at . ! or ?, closing
// quotes and brackets behind it, then white space or the end. A full stop ends none behind an abbreviation ("Dr.", a
// list), nor behind one letter ("J. Smith") or an ellipsis before a small letter; a line end alone ends none. A number
// in front of a list's item ends one, as it does for Punkt. `text`: valid UTF-8.
std::vector<std::string_view> sentences_of(std::string_view text);

// The words of a text as NLTK's word_tokenize parts them, as far as words with letters go: punctuation at their ends
// and between them is left out, clitics are words of their own (CAN'T: CA, N'T), hyphens hold words together.
std::vector<std::string> words_of(std::string_view text);

}  // namespace cmc::ifeval
