#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/data/alpaca_eval.hpp"
#include "pipeline/world/world.hpp"

namespace cmc::world {

// How an answer is asked for, as a sentence behind the question; every one can be checked by rule.
//   none    -                               "Sure! {answer}"
//   start   "Start with the word Indeed."   "Indeed! {answer}"
//   end     "End with the word Thanks."     "Sure! {answer} Thanks!"
//   twice   "Say it twice."                 "Sure! {answer} Sure! {answer}"
//   repeat  "Repeat the question first."    "Sure! {question} {answer}"
// The fixed first word makes politeness visible, and keeps a name from following the line break of the prompt, where
// SentencePiece cuts words differently than behind a space.
enum class AnswerKind { none, start, end, twice, repeat };
inline constexpr std::array<AnswerKind, 5> answer_kinds = {AnswerKind::none, AnswerKind::start, AnswerKind::end,
                                                           AnswerKind::twice, AnswerKind::repeat};

struct AnswerFormat {
  AnswerKind kind = AnswerKind::none;
  std::string word;  // of start and end; else empty
};

std::string_view name_of(AnswerKind kind);  // "none", "start", …
AnswerFormat draw_format(AnswerKind kind, Random& random);

// "Where does Clara Ashford live? Say it twice."
std::string request(const AnswerFormat& format, std::string_view question);
std::string response(const AnswerFormat& format, std::string_view question, std::string_view answer);

// What a response to request(format, `question`) must fulfil: its form, and the name and value of `fact`.
std::vector<data::ResponseCheck> checks_of(const AnswerFormat& format, const Fact& fact, std::string_view question);

}  // namespace cmc::world
