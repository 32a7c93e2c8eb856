#include "stages/experiment/schema.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "pipeline/core/named_enum.hpp"
#include "pipeline/records/evaluation_parameters.hpp"

namespace cmc::stages {

namespace {
constexpr NamedEnum value_types("type of a value",
                                std::to_array<Named<ValueType>>({{ValueType::text, "text"},
                                                                 {ValueType::path, "path"},
                                                                 {ValueType::integer, "whole number"},
                                                                 {ValueType::number, "number"},
                                                                 {ValueType::list, "list"},
                                                                 {ValueType::numbers, "numbers"}}));

const std::vector<std::string_view> unlearning_losses = {"grad_diff",     "grad_ascent",      "kl", "idk", "dpo", "npo",
                                                         "npo_grad_diff", "grad_diff_bounded"};
}  // namespace

std::string_view name_of(ValueType type) {
  return value_types.name_of(type);
}

const std::vector<KeySpec>& schema() {
  using enum ValueType;
  using records::Method;
  static const std::vector<KeySpec> keys = {
      {"experiment.title", text, "", true, "what the report is headed with"},
      {"experiment.seed", list, "1", false,
       "all other seeds are hashes of it; several: the whole is repeated with each"},

      {"world.documents", integer, "0", false, "texts of the small world that is generated (mini.ini); 0: none"},
      {"world.pieces_a", integer, "800", false, "size of its first vocabulary, ${world}/vocabulary_a"},
      {"world.pieces_b", integer, "1100", false, "size of its second vocabulary, ${world}/vocabulary_b"},

      {"models.template", text, "", true, "the frozen model the delta is trained beside (paper, section 3)"},
      {"models.targets", list, "", true, "the models the delta is added to"},
      {"models.unlearn_template", text, "", false,
       "another template for unlearning (Table 2: chat models); unset: the same"},
      {"models.unlearn_targets", list, "", false, "other targets for unlearning; unset: the same"},
      {"model.*.path", path, "", false,
       "Hugging Face folder: config.json, safetensors, tokenizer; unset: pre-trained here"},
      {"model.*.tensor_parallel", integer, "1", false,
       "ranks of a node that hold it together where it is evaluated as a target"},
      {"model.*.tokenizer", path, "", false, "folder with the tokenizer of a model that is pre-trained here"},
      {"model.*.hidden", integer, "0", false, "its width"},
      {"model.*.layers", integer, "0", false, "its layers"},
      {"model.*.heads", integer, "0", false, "its attention heads"},
      {"model.*.intermediate", integer, "0", false, "its MLP width"},
      {"model.*.max_positions", integer, "2048", false, "longest text it reads, in tokens"},
      {"model.*.prompt",
       text,
       "open_instruct",
       false,
       "how the base reads a question in the template's vocabulary",
       {"plain", "open_instruct", "inst", "chat"}},
      {"model.*.other_prompt",
       text,
       "plain",
       false,
       "the same in another vocabulary (protocol: the plain question)",
       {"plain", "open_instruct", "inst", "chat"}},

      {"deltas.instruct", list, "", false, "delta models trained for instructions"},
      {"deltas.unlearn", list, "", false, "delta models trained for unlearning"},
      {"delta.*.path", path, "", false, "start from this folder (the paper: TinyStories Llamas); unset: random"},
      {"delta.*.hidden", integer, "64", false, "width of a random delta"},
      {"delta.*.layers", integer, "4", false, "its layers"},
      {"delta.*.heads", integer, "4", false, "its attention heads"},
      {"delta.*.intermediate", integer, "172", false, "its MLP width"},
      {"delta.*.pretrain",
       text,
       "no",
       false,
       "yes: pre-trained as a language model before it becomes a delta",
       {"yes", "no"}},
      {"delta.*.start", text, "", false,
       "start from what another delta starts from; unset: its own path, pre-training or random weights"},
      {"delta.*.epochs", integer, "0", false,
       "epochs it is trained for; 0: those of [train_instruct], [train_unlearn]"},
      {"delta.*.loss", text, "", false, "what it unlearns by; unset: that of [train_unlearn]", unlearning_losses},
      {"delta.*.max_positions", integer, "2048", false, "longest text it reads, in tokens"},

      {"methods.instruct", list, "vanilla, cmc", false, "the systems compared on instructions (paper, Table 1)",
       records::methods_for(records::Purpose::instruct)},
      {"methods.unlearn", list, "vanilla, cmc", false,
       "the systems compared on TOFU (Table 2); retain_only gives forget quality",
       records::methods_for(records::Purpose::unlearn)},

      {"token_map.method",
       list,
       "pm_mined",
       false,
       "how base tokens find delta tokens; further ones: ablations (Table 4: exact_only)",
       {"pm_mined", "exact_only", "one_to_many"}},
      {"token_map.compat",
       text,
       "corrected",
       false,
       "authors: the published map with its fault",
       {"corrected", "authors"}},

      {"fusion.mode",
       list,
       "base_normalized",
       false,
       "how logits are fused when decoding and scoring; further ones: ablations, the first delta at the strength "
       "nearest to 1 (Table 4)",
       {"base_normalized", "both_normalized", "raw_sum"}},
      {"fusion.unmapped",
       list,
       "zero",
       false,
       "what base tokens without a delta token get; further ones: ablations",
       {"zero", "minimum", "mean"}},
      {"fusion.top", integer, "0", false,
       "one_to_many: the base's tokens that get delta logits, a step (authors: 100 or 50); 0: all"},

      {"data.tofu", path, "", false, "folder with the TOFU sets, one JSON object a line"},
      {"data.alpaca", path, "", false, "instruction pairs, Alpaca JSON"},
      {"data.pretrain", path, "", false, "texts to pre-train on, JSON lines with \"text\""},
      {"data.general", path, "", false, "instruction pairs mixed into the fine-tuning on TOFU, Alpaca JSON"},
      {"data.other", path, "", false,
       "the different data of the similarity experiment: Alpaca JSON, or GSM8k JSON lines"},
      {"data.alpaca_eval", path, "", false, "AlpacaEval prompts with reference outputs, JSON"},

      {"compute.device", text, "auto", false, "auto: CUDA where there is one", {"auto", "cpu", "cuda"}},
      {"compute.dtype", text, "auto", false, "auto: bfloat16 on CUDA, float32 on CPU", {"auto", "float32", "bfloat16"}},
      {"compute.batch", integer, "16", false, "rows decoded together"},
      {"compute.deterministic",
       text,
       "no",
       false,
       "yes: training on CUDA gives the same bits each time, by slower kernels",
       {"yes", "no"}},

      {"pretrain.steps", integer, "500", false, "optimiser steps"},
      {"pretrain.batch", integer, "16", false, "windows a step"},
      {"pretrain.window", integer, "128", false, "tokens a window, cut at random from the texts"},
      {"pretrain.learning_rate", number, "4e-3", false, "peak, for models"},
      {"pretrain.delta_learning_rate", number, "6e-3", false, "peak, for deltas"},
      {"pretrain.warmup", number, "0.05", false, "share of the steps"},
      {"pretrain.floor", number, "0.1", false, "what the cosine ends at, share of the peak"},
      {"pretrain.beta2", number, "0.98", false, "of AdamW"},
      {"pretrain.weight_decay", number, "0.05", false, "of AdamW"},
      {"pretrain.checkpoint_steps", integer, "250", false, "steps between checkpoints"},

      {"prepare.epochs", integer, "0", false, "fine-tuning on TOFU before unlearning; 0: the models know it already"},
      {"prepare.retain_items", integer, "0", false, "retained examples used; 0: all"},
      {"prepare.method", text, name_of(Method::full), false, "how (protocol: lora)", records::training_methods()},
      {"prepare.lora_learning_rate", number, "1e-4", false, "peak, LoRA (protocol)"},
      {"prepare.lora_rank", integer, "32", false, "protocol"},
      {"prepare.lora_alpha", number, "64", false, "protocol"},
      {"prepare.lora_dropout", number, "0.05", false, "protocol"},
      {"prepare.lora_modules", list, "q_proj, v_proj", false, "linear layers with adapters"},
      {"prepare.warmup_steps", integer, "0", false, "steps (protocol: 100); the longer of this and prepare.warmup"},
      {"prepare.learning_rate", number, "1e-5", false, "peak, full fine-tuning (the TOFU paper's setting)"},
      {"prepare.batch", integer, "4", false, "examples a micro-batch"},
      {"prepare.accumulation", integer, "4", false, "micro-batches a step"},
      {"prepare.warmup", number, "0.1", false, "share of the steps"},
      {"prepare.weight_decay", number, "0.01", false, "of AdamW"},
      {"prepare.max_tokens", integer, "500", false, "tokens an example (protocol)"},
      {"prepare.shares", integer, "1", false,
       "ranks that can work on one training; the result depends on it, not on ranks"},

      {"train_instruct.items", integer, "0", false, "examples used; 0: all"},
      {"train_instruct.epochs", integer, "3", false, "protocol: 3 to 4"},
      {"train_instruct.learning_rate", number, "2e-4", false, "protocol"},
      {"train_instruct.batch", integer, "4", false, "protocol"},
      {"train_instruct.accumulation", integer, "16", false, "protocol"},
      {"train_instruct.warmup", number, "0.03", false, "share of the steps (protocol)"},
      {"train_instruct.schedule", text, "cosine", false, "protocol", {"cosine", "linear", "constant"}},
      {"train_instruct.weight_decay", number, "0", false, "AdamW"},
      {"train_instruct.max_tokens", integer, "1024", false, "tokens of source and of target at most (protocol)"},
      {"train_instruct.shares", integer, "1", false, "ranks that can work on one training"},
      {"train_instruct.checkpoint_steps", integer, "50", false, "steps between checkpoints a killed run goes on from"},

      {"train_unlearn.forget", text, "forget10", false, "TOFU set to forget", {"forget01", "forget05", "forget10"}},
      {"train_unlearn.retain_items", integer, "0", false, "retained examples used; 0: all"},
      {"train_unlearn.loss", text, "grad_diff", false, "the paper's is grad_diff", unlearning_losses},
      {"train_unlearn.beta", number, "0.1", false, "of dpo and npo"},
      {"train_unlearn.forget_bound", number, "6", false,
       "grad_diff_bounded: the forget loss counts up to here (nat); not the paper's"},
      {"train_unlearn.epochs", integer, "20", false, "protocol"},
      {"train_unlearn.learning_rate", number, "1e-4", false, "protocol"},
      {"train_unlearn.batch", integer, "4", false, "protocol"},
      {"train_unlearn.accumulation", integer, "4", false, "protocol"},
      {"train_unlearn.schedule",
       text,
       "linear",
       false,
       "after one epoch of warm-up (protocol)",
       {"cosine", "linear", "constant"}},
      {"train_unlearn.weight_decay", number, "0.01", false, "protocol"},
      {"train_unlearn.max_tokens", integer, "500", false, "tokens an example (protocol)"},
      {"train_unlearn.shares", integer, "1", false, "ranks that can work on one training"},
      {"train_unlearn.checkpoint_steps", integer, "50", false, "steps between checkpoints"},

      {"adapt_instruct.epochs", integer, "3", false,
       "a target's own fine-tuning on the instruction data (methods lora and full)"},
      {"adapt_instruct.learning_rate", number, "2e-5", false, "peak, full fine-tuning"},
      {"adapt_instruct.lora_learning_rate", number, "1e-4", false, "peak, LoRA"},
      {"adapt_instruct.batch", integer, "4", false, "examples a micro-batch"},
      {"adapt_instruct.accumulation", integer, "16", false, "micro-batches a step"},
      {"adapt_instruct.warmup", number, "0.03", false, "share of the steps"},
      {"adapt_instruct.schedule", text, "cosine", false, "of the learning rate", {"cosine", "linear", "constant"}},
      {"adapt_instruct.weight_decay", number, "0", false, "AdamW"},
      {"adapt_instruct.max_tokens", integer, "1024", false, "tokens of source and of target at most"},
      {"adapt_instruct.shares", integer, "1", false, "ranks that can work on one training"},
      {"adapt_instruct.checkpoint_steps", integer, "50", false, "steps between checkpoints"},
      {"adapt_instruct.lora_rank", integer, "8", false, "protocol"},
      {"adapt_instruct.lora_alpha", number, "32", false, "protocol"},
      {"adapt_instruct.lora_dropout", number, "0.1", false, "protocol"},
      {"adapt_instruct.lora_modules", list, "q_proj, v_proj", false,
       "linear layers with adapters (peft's default for Llama)"},

      {"adapt_unlearn.loss", text, "grad_diff", false, "the same as the delta's in the paper", unlearning_losses},
      {"adapt_unlearn.beta", number, "0.1", false, "of dpo and npo"},
      {"adapt_unlearn.forget_bound", number, "6", false, "of grad_diff_bounded (nat)"},
      {"adapt_unlearn.epochs", integer, "20", false, "a target's own unlearning (methods lora and full)"},
      {"adapt_unlearn.learning_rate", number, "1e-5", false, "peak, full fine-tuning (the TOFU paper's)"},
      {"adapt_unlearn.lora_learning_rate", number, "1e-4", false, "peak, LoRA"},
      {"adapt_unlearn.batch", integer, "4", false, "examples a micro-batch"},
      {"adapt_unlearn.accumulation", integer, "4", false, "micro-batches a step"},
      {"adapt_unlearn.schedule", text, "linear", false, "after one epoch of warm-up", {"cosine", "linear", "constant"}},
      {"adapt_unlearn.weight_decay", number, "0.01", false, "AdamW"},
      {"adapt_unlearn.max_tokens", integer, "500", false, "tokens an example"},
      {"adapt_unlearn.shares", integer, "1", false, "ranks that can work on one training"},
      {"adapt_unlearn.checkpoint_steps", integer, "50", false, "steps between checkpoints"},
      {"adapt_unlearn.lora_rank", integer, "32", false, "protocol"},
      {"adapt_unlearn.lora_alpha", number, "64", false, "protocol"},
      {"adapt_unlearn.lora_dropout", number, "0.05", false, "protocol"},
      {"adapt_unlearn.lora_modules", list, "q_proj, v_proj", false, "linear layers with adapters"},

      {"similarity.pairs", list, "", false,
       "reference:other, …: models whose logit shifts are compared (paper, Figure 2)"},
      {"similarity.method", text, name_of(Method::lora), false, "how the models are fine-tuned",
       records::training_methods()},
      {"similarity.other_items", integer, "0", false, "examples of data.other used; 0: all"},
      {"similarity.other_epochs", integer, "3", false, "epochs on data.other"},
      {"similarity.items", integer, "50", false, "AlpacaEval prompts (protocol)"},
      {"similarity.new_tokens", integer, "200", false, "greedy tokens of the reference (protocol)"},
      {"similarity.top", integer, "100", false, "tokens compared at each step (protocol)"},

      {"instruct.items", integer, "0", false, "AlpacaEval prompts used; 0: all 805"},
      {"instruct.new_tokens", integer, "512", false, "protocol"},
      {"instruct.checked_items", integer, "0", false, "prompts asked again with an instruction a rule can check"},
      {"instruct.strengths", numbers, "1", false, "alpha; vanilla is always run"},
      {"instruct.unit_items", integer, "32", false, "prompts a unit: a resumed run loses at most this many"},

      {"judge.model", text, "", false, "a model that judges the instruct responses pairwise; unset: nobody does"},
      {"judge.against", text, name_of(records::Against::reference), false,
       "what they are compared with: the data file's outputs, or the target alone",
       records::names_of<records::Against>()},
      {"judge.prompt",
       text,
       "auto",
       false,
       "how the judge is asked; auto: chat where it has a chat template, else open_instruct",
       {"auto", "plain", "open_instruct", "inst", "chat"}},
      {"judge.unit_items", integer, "64", false, "prompts a unit, each of them in both orders"},

      {"unlearn.items", integer, "300", false, "items of each TOFU set (protocol: the first 300)"},
      {"unlearn.new_tokens", integer, "200", false, "protocol"},
      {"unlearn.strengths", numbers, "1", false, "alpha; vanilla is always run"},
      {"unlearn.unit_items", integer, "32", false, "items a unit"},
      {"unlearn.prompt", text, "inst", false, "how a question is asked (protocol: inst)", {"inst", "question_answer"}},
      {"unlearn.compat",
       text,
       "corrected",
       false,
       "authors: wrong answers get the delta logits of the first, as published (fault 1)",
       {"corrected", "authors"}},
  };
  return keys;
}

namespace {

// "model.*.path" matches "model.gemma.path".
bool matches(std::string_view pattern, std::string_view key) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == key;
  const auto head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  return key.size() > head.size() + tail.size() && key.starts_with(head) && key.ends_with(tail) &&
         key.substr(head.size(), key.size() - head.size() - tail.size()).find('.') == std::string_view::npos;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

// A starred pattern written with the name the user gave: "model.*.path" near "model.gemma.pth" → "model.gemma.path".
std::string filled(std::string_view pattern, std::string_view key) {
  const size_t star = pattern.find('*'), dot = key.find('.');
  if (star == std::string_view::npos) return std::string(pattern);
  const size_t next = dot == std::string_view::npos ? dot : key.find('.', dot + 1);
  const auto name = next == std::string_view::npos ? std::string_view("NAME") : key.substr(dot + 1, next - dot - 1);
  return std::string(pattern.substr(0, star)).append(name).append(pattern.substr(star + 1));
}

}  // namespace

const KeySpec* find_spec(std::string_view key) {
  for (const auto& spec : schema())
    if (matches(spec.key, key)) return &spec;
  return nullptr;
}

std::string nearest_key(std::string_view key) {
  std::string best;
  size_t least = std::numeric_limits<size_t>::max();
  for (const auto& spec : schema()) {
    const std::string candidate = filled(spec.key, key);
    if (const size_t distance = edit_distance(candidate, key); distance < least) least = distance, best = candidate;
  }
  return best;
}

}  // namespace cmc::stages
