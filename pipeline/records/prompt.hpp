#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/fields.hpp"

namespace cmc::records {

// How a question is asked, as a task names it: the text before the question and after it is what a model reads
// (text::PromptTemplate), whatever it was made from.
struct Prompt {
  std::string style;  // "inst", "chat"; "text": given in the experiment
  std::string before, after;
  std::string strip;                // whose white space is taken from the question: "both", "left", "right"; "": none
  std::vector<std::string> marks;   // texts that no question may hold (text::PromptTemplate)
  std::optional<std::string> date;  // that a chat template was told, where it asked
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("style", self.style);
    visit("before", self.before);
    visit("after", self.after);
    visit("strip", self.strip, Presence::optional);
    visit("marks", self.marks, Presence::optional);
    visit("date", self.date);
  }
};

// How a TOFU question is asked, and what stands before its answer, as part of it.
struct TofuPrompt {
  Prompt question;
  std::string before_answer;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Prompt::fields(self.question, visit);
    visit("before_answer", self.before_answer, Presence::optional);
  }
};

}  // namespace cmc::records
