#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/model_reference.hpp"
#include "pipeline/records/prompt.hpp"
#include "pipeline/records/stress.hpp"
#include "pipeline/records/system.hpp"
#include "pipeline/records/training_parameters.hpp"

// Parameters of the tasks that measure.
namespace cmc::records {

// Stage token_map: from a target's vocabulary to a delta's.
struct TokenMapParameters {
  ModelReference base, delta;  // their tokenizers
  int64_t delta_size = 0;      // tokens
  std::string method, compat;
  std::optional<FileReference> references, answers;  // texts whose tokens are counted: AlpacaEval's, a TOFU set's
  std::optional<int64_t> seed;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("base", self.base);
    visit("delta", self.delta);
    visit("delta_size", self.delta_size);
    visit("method", self.method);
    visit("compat", self.compat);
    visit("references", self.references);
    visit("answers", self.answers);
    visit("seed", self.seed);
  }
};

// A model that is added within alpha · (…).
struct DeltaPart {
  ModelReference model;
  double weight = 1;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model);
    visit("weight", self.weight);
  }
};

// A delta: parts of one vocabulary.
struct AddedDelta {
  std::vector<DeltaPart> parts;
  std::optional<ModelReference> delta_tokenizer;
  std::string map;  // key of the token map's task; "": the target's vocabulary
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("parts", self.parts, Presence::optional);
    visit("delta_tokenizer", self.delta_tokenizer);
    visit("map", self.map, Presence::optional);
  }
};

// A system at several strengths, and what runs it; a delta's fields are empty where nothing is added.
struct Evaluation : AddedDelta {
  System system;                    // its strength is one of:
  std::vector<double> strengths;    // {0} where nothing is added
  ModelReference model;             // the base
  std::optional<AddedDelta> other;  // of another vocabulary than the first, added at the same strength

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    System::described(self.system, visit);
    visit("seed", self.system.seed);
    visit("strengths", self.strengths);
    visit("model", self.model);
    AddedDelta::fields(self, visit);
    visit("other", self.other);
  }
};

// Items first … first + count of a set, as one unit.
struct Slice {
  int64_t first = 0, count = 0;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("first", self.first);
    visit("count", self.count);
  }
};

// plain: AlpacaEval's as they are; checked: each with an instruction drawn by seed that a rule can check (after IFEval,
// Zhou et al. 2023).
enum class Prompts { plain, checked };
template <>
struct EnumNames<Prompts> {
  static constexpr NamedEnum names{
      "kind of prompts", std::to_array<Named<Prompts>>({{Prompts::plain, "plain"}, {Prompts::checked, "checked"}})};
};

// Stage ifeval, and what other stages ask likewise: responses to the prompts of a file.
struct ResponseParameters {
  Evaluation evaluation;
  Slice slice;
  FileReference data;
  int64_t new_tokens = 0;
  Prompt base_prompt, delta_prompt;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Evaluation::fields(self.evaluation, visit);
    Slice::fields(self.slice, visit);
    visit("data", self.data);
    visit("new_tokens", self.new_tokens);
    visit("base_prompt", self.base_prompt);
    visit("delta_prompt", self.delta_prompt);
  }
};

// Stage instruct: AlpacaEval answers, asked for likewise, and the likelihood of the references.
struct InstructParameters : ResponseParameters {
  Prompts prompts = Prompts::plain;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    ResponseParameters::fields(self, visit);
    visit("prompts", self.prompts);
  }
};

// Answers of the instruction data that no training reads. choice: by which a delta's strength is chosen; unread: what
// is told of the strength that was chosen.
enum class UnreadPart { choice, unread };
template <>
struct EnumNames<UnreadPart> {
  static constexpr NamedEnum names{
      "part of the unread pairs",
      std::to_array<Named<UnreadPart>>({{UnreadPart::choice, "choice"}, {UnreadPart::unread, "unread"}})};
};

// Stage likelihood: how probable these answers are.
struct LikelihoodParameters {
  Evaluation evaluation;
  UnreadPart part = UnreadPart::unread;
  Slice slice;  // of the file
  FileReference data;
  Prompt base_prompt, delta_prompt;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Evaluation::fields(self.evaluation, visit);
    visit("part", self.part);
    Slice::fields(self.slice, visit);
    visit("data", self.data);
    visit("base_prompt", self.base_prompt);
    visit("delta_prompt", self.delta_prompt);
  }
};

// Stage unlearn: TOFU answers and losses.
struct UnlearnParameters {
  Evaluation evaluation;
  std::string set, stem;  // "forget" and its file without .json
  Slice slice;
  FileReference data;
  int64_t new_tokens = 0, max_tokens = 0;
  TofuPrompt prompt;
  std::string compat;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Evaluation::fields(self.evaluation, visit);
    visit("set", self.set);
    visit("stem", self.stem);
    Slice::fields(self.slice, visit);
    visit("data", self.data);
    visit("new_tokens", self.new_tokens);
    visit("max_tokens", self.max_tokens);
    visit("prompt", self.prompt);
    visit("compat", self.compat);
  }
};

// Stage byte_exact: a token map against what it stands in for.
struct ByteExactParameters {
  Evaluation evaluation;
  int64_t items = 0, tokens = 0;
  double least = 0;  // probability of the ways to begin a token that are followed
  FileReference data;
  Prompt base_prompt, delta_prompt;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Evaluation::fields(self.evaluation, visit);
    visit("items", self.items);
    visit("tokens", self.tokens);
    visit("least", self.least);
    visit("data", self.data);
    visit("base_prompt", self.base_prompt);
    visit("delta_prompt", self.delta_prompt);
  }
};

// Stage robustness: the same under a stress test.
struct RobustnessParameters {
  UnlearnParameters asked;
  Stress stress;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    UnlearnParameters::fields(self.asked, visit);
    Stress::fields(self.stress, visit);
  }
};

// Stage relearn: adapters of a system's base, trained beside its frozen delta on what it had unlearned.
struct RelearnParameters {
  Evaluation evaluation;  // at one strength
  std::string stem;       // file of the items
  FileReference data;
  int64_t items = 0;  // that are trained on, at most; 0: all of is_relearned()
  TofuPrompt prompt;
  TrainingParameters training;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    Evaluation::fields(self.evaluation, visit);
    visit("stem", self.stem);
    visit("data", self.data);
    visit("items", self.items);
    visit("prompt", self.prompt);
    visit("training", self.training);
  }
};

// reference: the data file's outputs; vanilla: what the target answers alone.
enum class Against { reference, vanilla };
template <>
struct EnumNames<Against> {
  static constexpr NamedEnum names{
      "what is judged against",
      std::to_array<Named<Against>>({{Against::reference, "reference"}, {Against::vanilla, "vanilla"}})};
};

// Who judges, and what it compares with.
struct JudgeSettings {
  ModelReference judge;
  Against against = Against::reference;
  std::string baseline;  // whose outputs these are: "text_davinci_003", "vanilla"
  Prompt prompt;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("judge", self.judge);
    visit("against", self.against);
    visit("baseline", self.baseline);
    visit("prompt", self.prompt);
  }
};

// Stage judge: win rates of plain instruct responses.
struct JudgeParameters {
  JudgeSettings settings;
  System system;
  std::vector<double> strengths;
  Slice slice;
  std::vector<std::string> responses, vanilla;  // keys of instruct tasks
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    JudgeSettings::fields(self.settings, visit);
    System::described(self.system, visit);
    visit("seed", self.system.seed);
    visit("strengths", self.strengths);
    Slice::fields(self.slice, visit);
    visit("responses", self.responses);
    visit("vanilla", self.vanilla, Presence::optional);
  }
};

// A model before and after its fine-tunings.
struct TunedModel {
  std::string name;
  ModelReference base, instruct;        // instruct: tuned on the instruction data
  std::optional<ModelReference> other;  // tuned on different data
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("name", self.name);
    visit("base", self.base);
    visit("instruct", self.instruct);
    visit("other", self.other);
  }
};

// Stage similarity: logit shifts of two models.
struct SimilarityParameters {
  std::string target;  // the other's name
  Method method = Method::full;
  TunedModel reference, other;
  Prompt base_prompt, tuned_prompt;  // of the models as they were, and after their fine-tunings
  FileReference data;
  int64_t items = 0, new_tokens = 0, top = 0;
  std::optional<int64_t> seed;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("target", self.target);
    visit("method", self.method);
    visit("reference", self.reference);
    visit("other", self.other);
    visit("base_prompt", self.base_prompt);
    visit("tuned_prompt", self.tuned_prompt);
    visit("data", self.data);
    visit("items", self.items);
    visit("new_tokens", self.new_tokens);
    visit("top", self.top);
    visit("seed", self.seed);
  }
};

}  // namespace cmc::records
