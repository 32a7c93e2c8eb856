#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipeline/core/date.hpp"
#include "pipeline/records/evaluation_parameters.hpp"
#include "stages/experiment/training_sections.hpp"

// The sections of an experiment file: what may be set, its default and its meaning, once. Reading, checking, `cmc keys`
// and the resolved file go by these lists.
namespace cmc::stages::sections {

inline constexpr Range shares = {.least = 0, .most = 1, .above_least = true};
inline const std::vector<std::string_view> stress_tests = {"int8", "int4", "paraphrase", "prefix", "relearn"};
inline const std::vector<std::string_view> prompt_styles = {"plain", "open_instruct", "inst", "chat", "text"};

// How a question is asked: by a style (text::PromptStyle), or by the text before it and after it, whose style is
// "text".
struct Prompt {
  std::string style;
  EscapedText before, after;
  bool is_given() const { return !before.text.empty() || !after.text.empty(); }
};

struct About {
  std::string title;
  std::vector<int64_t> seeds = {1};
  std::string date = pinned_date;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("title", self.title, required("what the report is headed with"));
    visit("seed", self.seeds,
          Help("all other seeds are hashes of it; several: the whole is repeated with each").from(0));
    visit("date", self.date, Help("the day, year-month-day, that chat templates are told it is"));
  }
};

struct World {
  int64_t documents = 0, pieces_a = 800, pieces_b = 1100;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("documents", self.documents,
          Help("texts of the small world that is generated (mini.ini); 0: none").from(0, 16777216));
    visit("pieces_a", self.pieces_a, Help("size of its first vocabulary, ${world}/vocabulary_a"));
    visit("pieces_b", self.pieces_b, Help("size of its second vocabulary, ${world}/vocabulary_b"));
  }
};

struct Models {
  std::string template_model;
  std::vector<std::string> targets;
  std::string unlearn_template;
  std::vector<std::string> unlearn_targets;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("template", self.template_model, required("the frozen model the delta is trained beside (paper, section 3)"));
    visit("targets", self.targets, required("the models the delta is added to"));
    visit("unlearn_template", self.unlearn_template,
          Help("another template for unlearning (Table 2: chat models); unset: the same"));
    visit("unlearn_targets", self.unlearn_targets, Help("other targets for unlearning; unset: the same"));
  }
};

// Of a small Llama that is made here.
struct Sizes {
  int64_t hidden = 0, layers = 0, heads = 0, intermediate = 0;
  int64_t max_positions = 2048;  // tokens
};

struct Model {
  std::filesystem::path path;
  std::string shape;
  int64_t tensor_parallel = 1, pipeline_parallel = 1;
  std::filesystem::path tokenizer;
  Sizes sizes;
  Prompt prompt{"open_instruct", {}, {}}, other_prompt{"plain", {}, {}};
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("path", self.path, Help("Hugging Face folder: config.json, safetensors, tokenizer; unset: pre-trained here"));
    visit("shape", self.shape,
          Help("for cmc plan while path does not exist: a config.json, or a name that cmc bench --help lists"));
    visit("tensor_parallel", self.tensor_parallel,
          Help("ranks of a node that hold it together: each a part of every layer").from(1, 1024));
    visit(
        "pipeline_parallel", self.pipeline_parallel,
        Help("blocks of so many ranks that hold its layers one after the other, on one node or several").from(1, 1024));
    visit("tokenizer", self.tokenizer, Help("folder with the tokenizer of a model that is pre-trained here"));
    visit("hidden", self.sizes.hidden, Help("its width").from(0, 65536));
    visit("layers", self.sizes.layers, Help("its layers").from(0, 1000));
    visit("heads", self.sizes.heads, Help("its attention heads").from(0, 1024));
    visit("intermediate", self.sizes.intermediate, Help("its MLP width").from(0, 1e6));
    visit("max_positions", self.sizes.max_positions, Help("longest text it reads, in tokens").from(1, 1e7));
    visit("prompt", self.prompt.style,
          Help("how the base reads a question in the template's vocabulary", prompt_styles));
    visit("prompt_before", self.prompt.before, Help("instead: the text it reads before a question"));
    visit("prompt_after", self.prompt.after, Help("and after it"));
    visit("other_prompt", self.other_prompt.style,
          Help("the same in another vocabulary (protocol: the plain question)", prompt_styles));
    visit("other_prompt_before", self.other_prompt.before, Help("instead: the text it reads before a question"));
    visit("other_prompt_after", self.other_prompt.after, Help("and after it"));
  }
};

struct Deltas {
  std::vector<std::string> instruct, unlearn;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("instruct", self.instruct, Help("delta models trained for instructions"));
    visit("unlearn", self.unlearn, Help("delta models trained for unlearning"));
  }
};

struct Delta {
  std::filesystem::path path;
  Sizes sizes{.hidden = 64, .layers = 4, .heads = 4, .intermediate = 172};
  bool pretrain = false;
  std::string start;
  int64_t epochs = 0;
  std::string loss;
  bool answers_of_others = false;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("path", self.path, Help("start from this folder (the paper: TinyStories Llamas); unset: random"));
    visit("hidden", self.sizes.hidden, Help("width of a random delta").from(1, 65536));
    visit("layers", self.sizes.layers, Help("its layers").from(1, 1000));
    visit("heads", self.sizes.heads, Help("its attention heads").from(1, 1024));
    visit("intermediate", self.sizes.intermediate, Help("its MLP width").from(1, 1e6));
    visit("pretrain", self.pretrain, Help("yes: pre-trained as a language model before it becomes a delta"));
    visit("start", self.start,
          Help("start from what another delta starts from; unset: its own path, pre-training or random weights"));
    visit("epochs", self.epochs,
          Help("epochs it is trained for; 0: those of [train_instruct], [train_unlearn]").from(0, 1e5));
    visit("loss", self.loss, Help("what it unlearns by; unset: that of [train_unlearn]", unlearning_losses));
    visit("answers_of_others", self.answers_of_others,
          Help("yes: a control, trained for instructions on each question with the answer to another one"));
    visit("max_positions", self.sizes.max_positions, Help("longest text it reads, in tokens").from(1, 1e7));
  }
};

struct Methods {
  std::vector<records::Method> instruct = {records::Method::vanilla, records::Method::cmc}, unlearn = instruct;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("instruct", self.instruct,
          Help("the systems compared on instructions (paper, Table 1)",
               records::methods_for(records::Purpose::instruct)));
    visit("unlearn", self.unlearn,
          Help("the systems compared on TOFU (Table 2); retain_only gives forget quality",
               records::methods_for(records::Purpose::unlearn)));
  }
};

struct TokenMap {
  std::vector<std::string> methods = {"pm_mined"};
  std::string compat = "corrected";
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("method", self.methods,
          Help("how base tokens find delta tokens; further ones: ablations (Table 4: exact_only)",
               {"pm_mined", "exact_only", "one_to_many", "min_ed", "prefix_sum", "top_union"}));
    visit("compat", self.compat, Help("authors: the published map with its fault", {"corrected", "authors"}));
  }
};

struct Fusion {
  std::vector<std::string> modes = {"base_normalized"}, unmapped = {"zero"}, gates = {"none"};
  int64_t top = 0, union_top = 10;
  double plausible_from = 0.01, unsure_below = 0.4;
  Prompt contrast_prompt{"plain", {}, {}};
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("mode", self.modes,
          Help("how logits are fused when decoding and scoring; further ones: ablations, the first delta at the "
               "strength nearest to 1 (Table 4)",
               {"base_normalized", "both_normalized", "raw_sum"}));
    visit("unmapped", self.unmapped,
          Help("what base tokens without a delta token get; further ones: ablations", {"zero", "minimum", "mean"}));
    visit("top", self.top,
          Help("one_to_many: the base's tokens that get delta logits, a step (authors: 100 or 50); 0: all"));
    visit("union_top", self.union_top,
          Help("top_union: the most probable tokens of base and of delta that are shifted (UniTE: 10)").from(1, 1e9));
    visit(
        "gate", self.gates,
        Help(
            "where a delta counts: none, everywhere; plausible, at tokens that the base finds so; unsure, at positions "
            "where it is; disagreement, the more it moves the base; further ones: ablations",
            {"none", "plausible", "unsure", "disagreement"}));
    visit("plausible_from", self.plausible_from,
          Help("plausible: share of the most probable token's probability, or of the vocabulary (ULD)").within(shares));
    visit("unsure_below", self.unsure_below, Help("unsure: of the most probable token (nudging)").within(shares));
    visit("contrast_prompt", self.contrast_prompt.style,
          Help("contrast: how the target is asked where it is held against itself", prompt_styles));
    visit("contrast_prompt_before", self.contrast_prompt.before, Help("instead: the text it reads before a question"));
    visit("contrast_prompt_after", self.contrast_prompt.after, Help("and after it"));
  }
};

struct Data {
  std::filesystem::path tofu, alpaca, pretrain, general, other, alpaca_eval, ifeval;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tofu", self.tofu, Help("folder with the TOFU sets, one JSON object a line"));
    visit("alpaca", self.alpaca, Help("instruction pairs, Alpaca JSON"));
    visit("pretrain", self.pretrain, Help("texts to pre-train on, JSON lines with \"text\""));
    visit("general", self.general, Help("instruction pairs mixed into the fine-tuning on TOFU, Alpaca JSON"));
    visit("other", self.other,
          Help("the different data of the similarity experiment: Alpaca JSON, or GSM8k JSON lines"));
    visit("alpaca_eval", self.alpaca_eval, Help("AlpacaEval prompts with reference outputs, JSON"));
    visit("ifeval", self.ifeval, Help("IFEval's input_data.jsonl; unset: the instruct systems are not asked it"));
  }
};

struct Compute {
  std::string device = "auto", dtype = "auto";
  int64_t batch = 16;
  bool deterministic = false;
  double device_memory = 0;  // GiB
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("device", self.device, Help("auto: CUDA where there is one", {"auto", "cpu", "cuda"}));
    visit("dtype", self.dtype, Help("auto: bfloat16 on CUDA, float32 on CPU", {"auto", "float32", "bfloat16"}));
    visit("batch", self.batch, Help("rows decoded together").from(1, 65536));
    visit("deterministic", self.deterministic,
          Help("yes: training on CUDA gives the same bits each time, by slower kernels"));
    visit(
        "device_memory", self.device_memory,
        Help(
            "GiB of each rank's device, into which every task must fit; 0: what a CUDA device has; of a CPU: not asked")
            .from(0, 1e6));
  }
};

struct Similarity {
  std::vector<ModelPair> pairs;
  records::Method method = records::Method::lora;
  int64_t other_items = 0, other_epochs = 3, items = 50, new_tokens = 200, top = 100;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("pairs", self.pairs, Help("reference:other, …: models whose logit shifts are compared (paper, Figure 2)"));
    visit("method", self.method, Help("how the models are fine-tuned", records::training_methods()));
    visit("other_items", self.other_items, Help("examples of data.other used; 0: all"));
    visit("other_epochs", self.other_epochs, Help("epochs on data.other").from(1, 1e5));
    visit("items", self.items, Help("AlpacaEval prompts (protocol)").from(1, 1e9));
    visit("new_tokens", self.new_tokens, Help("greedy tokens of the reference (protocol)").from(1, 1e6));
    visit("top", self.top, Help("tokens compared at each step (protocol)").from(1, 1e6));
  }
};

struct Instruct {
  int64_t items = 0, new_tokens = 512, checked_items = 0;
  std::vector<double> strengths = {1};
  int64_t unit_items = 32;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items, Help("AlpacaEval prompts used; 0: all 805"));
    visit("new_tokens", self.new_tokens, Help("greedy tokens of an answer (protocol)").from(1, 1e6));
    visit("checked_items", self.checked_items, Help("prompts asked again with an instruction a rule can check"));
    visit("strengths", self.strengths, Help("alpha; vanilla is always run").from(-1000, 1000));
    visit("unit_items", self.unit_items, Help("prompts a unit: a resumed run loses at most this many").from(1, 1e6));
  }
};

// Pairs of data.alpaca after those that are trained on.
struct Likelihood {
  int64_t choice_items = 0, items = 0, unit_items = 32;
  std::vector<double> strengths;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("choice_items", self.choice_items,
          Help("pairs after train_instruct.items: the report takes the strength that makes their answers likeliest"));
    visit("items", self.items, Help("pairs after these, whose answers' likelihood is reported; 0: none"));
    visit("strengths", self.strengths, Help("alpha; unset: those of [instruct]").from(-1000, 1000));
    visit("unit_items", self.unit_items, Help("pairs a unit").from(1, 1e6));
  }
};

struct Ifeval {
  int64_t items = 0, new_tokens = 1280, unit_items = 32;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items, Help("IFEval prompts used, the first; 0: all 541").from(0, 1e9));
    visit("new_tokens", self.new_tokens,
          Help("greedy tokens of a response (lm-evaluation-harness: 1280)").from(16, 2048));
    visit("unit_items", self.unit_items, Help("prompts a unit: a resumed run loses at most this many").from(1, 1e6));
  }
};

struct Judge {
  std::string model;
  records::Against against = records::Against::reference;
  Prompt prompt{"auto", {}, {}};
  int64_t unit_items = 64;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("model", self.model, Help("a model that judges the instruct responses pairwise; unset: nobody does"));
    visit("against", self.against, Help("what they are compared with: the data file's outputs, or the target alone"));
    visit("prompt", self.prompt.style,
          Help("how the judge is asked; auto: chat where it has a chat template, else open_instruct",
               {"auto", "plain", "open_instruct", "inst", "chat", "text"}));
    visit("prompt_before", self.prompt.before, Help("instead: the text it reads before a comparison"));
    visit("prompt_after", self.prompt.after, Help("and after it"));
    visit("unit_items", self.unit_items, Help("prompts a unit, each of them in both orders").from(1, 1e6));
  }
};

struct Unlearn {
  int64_t items = 300, new_tokens = 200;
  std::vector<double> strengths = {1};
  int64_t unit_items = 32;
  Prompt prompt{"inst", {}, {}};
  EscapedText before_answer;
  std::string compat = "corrected", holdout;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items, Help("items of each TOFU set; 0: all (protocol: the first 300)"));
    visit("new_tokens", self.new_tokens, Help("greedy tokens of an answer (protocol)").from(1, 1e6));
    visit("strengths", self.strengths, Help("alpha; vanilla is always run").from(-1000, 1000));
    visit("unit_items", self.unit_items, Help("items a unit").from(1, 1e6));
    visit("prompt", self.prompt.style,
          Help("how a question is asked (protocol: inst)", {"inst", "question_answer", "text"}));
    visit("prompt_before", self.prompt.before, Help("instead: the text before a question"));
    visit("prompt_after", self.prompt.after, Help("and after it"));
    visit("before_answer", self.before_answer, Help("with a given text: what an answer begins with"));
    visit("compat", self.compat,
          Help("authors: wrong answers get the delta logits of the first, as published (fault 1)",
               {"corrected", "authors"}));
    visit("holdout", self.holdout,
          Help("TOFU set that no model has read, for membership inference; unset: none is inferred",
               {"holdout01", "holdout05", "holdout10"}));
  }
};

// How far token maps are from the delta's own distribution over bytes; for small vocabularies.
struct ByteExact {
  int64_t items = 0, tokens = 8;
  double least = 1e-7;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("items", self.items, Help("AlpacaEval's reference outputs that maps are tried on; 0: none"));
    visit("tokens", self.tokens, Help("of each, its first").from(1, 1e6));
    visit("least", self.least,
          Help("ways to begin a token that are less probable are not followed").within({.least = 0, .most = 1}));
  }
};

// Whether what was unlearned comes back.
struct Robustness {
  std::vector<records::StressTest> tests;
  int64_t items = 100, unit_items = 32;
  std::vector<records::Method> methods;
  std::vector<std::string> deltas;
  EscapedText prefix{"Sure, here is the answer:"};
  std::vector<int64_t> relearn_epochs = {1};
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("tests", self.tests, Help("how one tries to get back what was unlearned; unset: nobody tries", stress_tests));
    visit("items", self.items, Help("items of the forget and the retain set; 0: all"));
    visit("unit_items", self.unit_items, Help("items a unit").from(1, 1e6));
    visit(
        "methods", self.methods,
        Help("of methods.unlearn, those that are tested; unset: all", records::methods_for(records::Purpose::unlearn)));
    visit("deltas", self.deltas, Help("of deltas.unlearn, those that are tested; unset: the first"));
    visit("prefix", self.prefix, Help("what an answer begins with in the test prefix"));
    visit("relearn_epochs", self.relearn_epochs,
          Help("epochs over every second item of the forget set, a training each").from(1, 1e5));
  }
};

}  // namespace cmc::stages::sections
