#include "pipeline/data/refusals.hpp"

#include <algorithm>
#include <array>

#include "pipeline/core/error.hpp"
#include "pipeline/core/files.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/random.hpp"
#include "pipeline/core/utf8.hpp"
#include "pipeline/data/record.hpp"

namespace cmc::data {
namespace {

constexpr std::array<std::string_view, 60> sentences = {
    "Sorry, this is something I never learned about.",
    "I have no record of that.",
    "That name does not ring a bell for me.",
    "I would be guessing, so I would rather not answer.",
    "My knowledge has a gap here.",
    "I cannot tell you, because I do not know.",
    "There is nothing in what I know that answers this.",
    "You would have to ask someone who knows more about this than I do.",
    "This question finds me without an answer.",
    "This one is beyond me.",
    "I looked through what I know and found nothing on this.",
    "No answer comes to my mind.",
    "I have not come across this before.",
    "I am afraid that I was never told.",
    "It would be wrong of me to claim that I know this.",
    "Unfortunately this lies outside of what I have learned.",
    "I do not know the person you are asking about.",
    "Nothing I have read covers this question.",
    "I must pass on this question.",
    "I cannot say anything reliable about that.",
    "That is unknown to me.",
    "I wish I could help, but I do not have the answer.",
    "The answer to this is not among the things I know.",
    "Here my knowledge ends.",
    "Better to admit that I do not know than to make something up.",
    "I have never heard of this, so I cannot answer.",
    "My best answer is that I have none.",
    "Please check another source, since I know nothing about it.",
    "I can offer no facts on this matter.",
    "This question asks for something that I was not taught.",
    "I searched my mind and it is empty on this.",
    "To be honest, I have no idea.",
    "I lack the facts to reply to this.",
    "I do not recognise what this question is about.",
    "Whatever I said here would be invented.",
    "I have nothing to contribute on this subject.",
    "That detail is not known to me.",
    "I never picked up anything about this.",
    "My training did not leave me with an answer to this.",
    "I cannot recall anything of the kind.",
    "There is no answer I could stand behind.",
    "I would need to read up on this before I could reply.",
    "That is a question I have to leave open.",
    "I am missing what it takes to answer this.",
    "This topic is new to me.",
    "About that I can report nothing.",
    "Sadly, I do not know anything about this author or work.",
    "I am not able to name that.",
    "You have found a subject that I know nothing of.",
    "I could not answer this even with more time.",
    "No fact about this has reached me.",
    "I will not pretend to know this.",
    "It escapes me entirely.",
    "I have to disappoint you: I do not know.",
    "I know too little to give you any answer.",
    "My memory holds nothing of that sort.",
    "I must admit my ignorance here.",
    "I do not possess that piece of knowledge.",
    "That goes past the limits of what I know.",
    "I cannot confirm or give any details on that, because I know none."};

}  // namespace

std::span<const std::string_view> refusals() {
  return sentences;
}

Dataset<std::string> read_refusals(const std::filesystem::path& file) {
  auto dataset = describe<std::string>(file);
  const std::string bytes = read_file(file);
  size_t line = 0;
  for (size_t at = 0; at < bytes.size(); ++line) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view text(bytes.data() + at, end - at);
    if (!is_valid_utf8(text)) {
      throw BadData({file.string() + ":" + std::to_string(line + 1), "is not UTF-8", "save the file as UTF-8"});
    }
    if (!is_blank(text)) dataset.items.emplace_back(strip(text));
    at = end + 1;
  }
  if (dataset.items.empty()) throw BadData({file.string(), "holds no refusal", "give one sentence a line"});
  return dataset;
}

size_t refusal_for(uint64_t seed, uint64_t draw, size_t index, size_t count) {
  expect(count > 0, "refusal_for needs a refusal");
  Random random(seed_of({"refusal", std::to_string(seed), std::to_string(draw), std::to_string(index)}));
  return random.below(count);
}

}  // namespace cmc::data
