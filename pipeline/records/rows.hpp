#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/records/columns.hpp"

// What each stage writes, row by row. results/README.md says the same in words.
namespace cmc::records {

// token_map: one row a base token.
struct TokenMapRow {
  int32_t delta_token = -1, match = 0;
  std::optional<std::vector<int32_t>> candidates;  // of the methods one_to_many and prefix_sum
  static auto columns() {
    using Row = TokenMapRow;
    return std::tuple(
        column(&Row::delta_token, {"delta_token", "base_token", "token", "delta token for each base token",
                                   "PM-MinED: exact string, else the prefix-related token with the smallest "
                                   "edit distance; -1: none"}),
        column(&Row::match, {"match", "base_token", "1", "kind of match", "0 unmapped, 1 inexact, 2 exact"}),
        column(&Row::candidates,
               {"candidates", "base_token", "token", "delta tokens whose largest logit a base token gets"}));
  }
};

// token_map: one row.
struct CoverageRow {
  int64_t exact = 0, inexact = 0, unmapped = 0;
  std::optional<int64_t> used_exact = {}, used_inexact = {},
                         used_unmapped = {};  // where there are texts; not of earlier versions
  static auto columns() {
    using Row = CoverageRow;
    static constexpr char used[] = "of the texts that are scored: AlpacaEval's reference outputs, answers to forget";
    return std::tuple(
        column(&Row::exact, {"exact", "map", "1", "base tokens with an identical delta token"}),
        column(&Row::inexact, {"inexact", "map", "1", "base tokens with a prefix match"}),
        column(&Row::unmapped, {"unmapped", "map", "1", "base tokens without a delta token"}),
        column(&Row::used_exact, {"used_exact", "map", "token", "tokens with an identical one", used}),
        column(&Row::used_inexact, {"used_inexact", "map", "token", "tokens with an inexact match", used}),
        column(&Row::used_unmapped, {"used_unmapped", "map", "token", "tokens without a match", used}));
  }
};

// likelihood: one row a (strength, pair).
struct LikelihoodRow {
  double alpha = 0;
  int64_t item = 0;
  double answer_logprob = 0, end_logprob = 0;
  int64_t answer_tokens = 0;
  static auto columns() {
    using Row = LikelihoodRow;
    return std::tuple(
        column(&Row::alpha, {"alpha", "row", "1", "strength of the delta", "0: vanilla"}),
        column(&Row::item, {"item", "row", "1", "index of the pair in the data file"}),
        column(&Row::answer_logprob, {"answer_logprob", "row", "nat", "log-probability of the answer",
                                      "sum over the positions compared, end token included"}),
        column(&Row::end_logprob, {"end_logprob", "row", "nat", "log-probability of the end token after it"}),
        column(&Row::answer_tokens, {"answer_tokens", "row", "token", "tokens of the answer", "end token included"}));
  }
};

// byte_exact: one row a text; means over its tokens where divided by them.
struct ByteExactRow {
  double alpha = 0;
  int64_t item = 0;
  double divergence = 0;
  int64_t same_choice = 0, compared = 0;
  static auto columns() {
    using Row = ByteExactRow;
    return std::tuple(
        column(&Row::alpha, {"alpha", "row", "1", "strength of the delta"}),
        column(&Row::item, {"item", "row", "1", "index of the prompt in the data file"}),
        column(&Row::divergence,
               {"divergence", "row", "nat", "divergence of the mapped from the byte-exact fused distribution",
                "KL(exact || mapped), sum over the positions compared"}),
        column(&Row::same_choice, {"same_choice", "row", "token", "positions where both prefer the same token"}),
        column(&Row::compared, {"compared", "row", "token", "positions"}));
  }
};

// pretrain, prepare, train, adapt: one row an optimiser step.
struct StepRow {
  double loss = 0, examples_loss = 0, retain_loss = 0, learning_rate = 0, gradient_norm = 0, seconds = 0, tokens = 0;
  std::optional<double> refusals_loss;  // of the objectives with refusals
  static auto columns() {
    using Row = StepRow;
    return std::tuple(
        column(&Row::loss, {"loss", "step", "nat", "minimised loss"}),
        column(&Row::examples_loss,
               {"examples_loss", "step", "nat", "mean cross-entropy of the examples (forget set)"}),
        column(&Row::retain_loss, {"retain_loss", "step", "nat", "mean cross-entropy of the retained examples"}),
        column(&Row::learning_rate, {"learning_rate", "step", "1", "learning rate"}),
        column(&Row::gradient_norm, {"gradient_norm", "step", "1", "global L2 norm before clipping"}),
        column(&Row::seconds, {"step_seconds", "step", "s", "wall time of the step"}),
        column(&Row::tokens, {"step_tokens", "step", "token", "tokens read by the trained model"}),
        column(&Row::refusals_loss, {"refusals_loss", "step", "nat", "mean cross-entropy of the refusals"}));
  }
};

// train, adapt: one row an evaluation on held-out examples, where there are any.
struct HeldOutRow {
  int64_t step = 0;
  double loss = 0, examples_loss = 0, retain_loss = 0;
  int32_t best = 0;
  std::optional<double> refusals_loss = {};  // of the objectives with refusals
  static auto columns() {
    using Row = HeldOutRow;
    return std::tuple(
        column(&Row::step, {"held_out_step", "evaluation", "1", "optimiser steps before the evaluation"}),
        column(&Row::loss, {"held_out_loss", "evaluation", "nat", "what is minimised, on the held-out examples"}),
        column(&Row::examples_loss, {"held_out_examples_loss", "evaluation", "nat",
                                     "mean cross-entropy of the held-out examples (forget set)"}),
        column(&Row::retain_loss,
               {"held_out_retain_loss", "evaluation", "nat", "mean cross-entropy of the held-out retained examples"}),
        column(&Row::best, {"held_out_best", "evaluation", "1", "1: the lowest loss, the earliest of equals; else 0"}),
        column(&Row::refusals_loss,
               {"held_out_refusals_loss", "evaluation", "nat", "mean cross-entropy of the held-out refusals"}));
  }
};

// instruct: one row a (strength, prompt).
struct InstructRow {
  double alpha = 0;
  int64_t item = 0;
  std::string prompt, response, stop_reason;
  int32_t stopped = 0;
  double repetition = 0;
  std::vector<int32_t> response_tokens;
  std::optional<int32_t> followed, fact;  // where a rule can check the response
  std::optional<std::string> asked;       // not of earlier versions
  std::optional<std::string> reference;   // of plain prompts
  std::optional<double> reference_logprob;
  std::optional<int64_t> reference_tokens;
  static auto columns() {
    using Row = InstructRow;
    return std::tuple(
        column(&Row::alpha, {"alpha", "row", "1", "strength of the delta", "0: vanilla"}),
        column(&Row::item, {"item", "row", "1", "index of the prompt in the data file"}),
        column(&Row::prompt, {"prompt", "row", "1", "instruction"}),
        column(&Row::asked, {"asked", "row", "1", "what the base reads", "the instruction in its prompt's text"}),
        column(&Row::response, {"response", "row", "1", "generated text"}),
        column(&Row::stop_reason, {"stop_reason", "row", "1", "what ended the response"}),
        column(&Row::stopped,
               {"stopped", "row", "1", "ended by itself", "1: end token or stop string, 0: length limit"}),
        column(&Row::repetition, {"repetition", "row", "1", "repetition", "share of 4-grams that occurred before"}),
        column(&Row::response_tokens, {"response_tokens", "row", "token", "generated base tokens"}),
        column(&Row::followed, {"followed", "row", "1", "instruction followed",
                                "1: the response has the form that the prompt asks for; -1: it asks for none"}),
        column(&Row::fact,
               {"fact", "row", "1", "right fact", "1: the response names what is true; -1: there is nothing to check"}),
        column(&Row::reference, {"reference", "row", "1", "reference answer of the data file"}),
        column(&Row::reference_logprob, {"reference_logprob", "row", "nat", "log-probability of the reference answer",
                                         "sum over the positions compared, end token excluded"}),
        column(&Row::reference_tokens, {"reference_tokens", "row", "token", "tokens of the reference answer"}));
  }
};

// ifeval: one row a (strength, prompt); an instruction is a word of `instruction_ids` and a place of both verdicts.
struct IfevalRow {
  double alpha = 0;
  int64_t item = 0, prompt_key = 0;
  std::string prompt, asked, response, stop_reason, instruction_ids;
  std::vector<int32_t> response_tokens, strict, loose;
  static auto columns() {
    using Row = IfevalRow;
    return std::tuple(
        column(&Row::alpha, {"alpha", "row", "1", "strength of the delta", "0: vanilla"}),
        column(&Row::item, {"item", "row", "1", "index of the prompt in the data file"}),
        column(&Row::prompt_key, {"prompt_key", "row", "1", "its key there"}),
        column(&Row::prompt, {"prompt", "row", "1", "prompt"}),
        column(&Row::asked, {"asked", "row", "1", "what the base reads", "the prompt in its prompt's text"}),
        column(&Row::response, {"response", "row", "1", "generated text"}),
        column(&Row::response_tokens, {"response_tokens", "row", "token", "generated base tokens"}),
        column(&Row::stop_reason, {"stop_reason", "row", "1", "what ended the response"}),
        column(&Row::instruction_ids,
               {"instruction_ids", "row", "1", "ids of the prompt's instructions", "parted by blanks"}),
        column(&Row::strict, {"strict", "row", "1", "1: the response follows the instruction, 0: not"}),
        column(&Row::loose,
               {"loose", "row", "1", "the same of the response without its first or last line or asterisks",
                "1: one of the eight texts follows the instruction"}));
  }
};

// judge: one row a (strength, prompt); NaN where the comparison is longer than the judge's context.
struct JudgeRow {
  double alpha = 0;
  int64_t item = 0;
  double better = 0, first = 0, second = 0, answered = 0;
  static auto columns() {
    using Row = JudgeRow;
    return std::tuple(column(&Row::alpha, {"alpha", "row", "1", "strength of the delta", "0: vanilla"}),
                      column(&Row::item, {"item", "row", "1", "index of the prompt in the data file"}),
                      column(&Row::better, {"probability", "row", "1", "probability that the response is better",
                                            "mean of both orders; ½: a tie"}),
                      column(&Row::first, {"probability_first", "row", "1", "the same with the response shown first",
                                           "P(A) / (P(A) + P(B)) of the judge's verdict"}),
                      column(&Row::second, {"probability_second", "row", "1", "the same with the response shown second",
                                            "P(B) / (P(A) + P(B)) of the judge's verdict"}),
                      column(&Row::answered, {"verdict_probability", "row", "1", "probability of any verdict",
                                              "P(A) + P(B), mean of both orders"}));
  }
};

// unlearn: one row a (strength, item). A log-probability is a sum over the answer's tokens. Of the holdout set, which
// has no wrong answers, the paraphrase is the answer.
struct UnlearnRow {
  double alpha = 0;
  int64_t item = 0;
  std::string question, answer, generated;
  std::vector<int32_t> generated_tokens;
  double rouge1_recall = 0, rouge_l_recall = 0;
  double answer_logprob = 0, paraphrase_logprob = 0;
  int64_t answer_tokens = 0, paraphrase_tokens = 0;
  std::optional<std::vector<double>> wrong_logprob;
  std::optional<std::vector<int64_t>> wrong_tokens;
  // Of each token of the true answer; not of earlier versions.
  std::optional<std::vector<float>> token_logprob, token_mean, token_variance;
  std::optional<std::vector<int32_t>> token_best;
  static auto columns() {
    using Row = UnlearnRow;
    static constexpr char each[] = "one a token of the true answer, end token included";
    static constexpr char sum[] = "sum over the positions compared, end token included";
    return std::tuple(
        column(&Row::alpha, {"alpha", "row", "1", "strength of the delta", "0: vanilla"}),
        column(&Row::item, {"item", "row", "1", "index in the data file"}),
        column(&Row::question, {"question", "row", "1", "question"}),
        column(&Row::answer, {"answer", "row", "1", "true answer"}),
        column(&Row::generated, {"generated", "row", "1", "generated answer"}),
        column(&Row::generated_tokens, {"generated_tokens", "row", "token", "generated base tokens"}),
        column(&Row::rouge1_recall, {"rouge1_recall", "row", "1", "ROUGE-1 recall", "rouge_score, Porter stemmer"}),
        column(&Row::rouge_l_recall, {"rouge_l_recall", "row", "1", "ROUGE-L recall", "rouge_score, Porter stemmer"}),
        column(&Row::answer_logprob, {"answer_logprob", "row", "nat", "log-probability of the true answer", sum}),
        column(&Row::answer_tokens, {"answer_tokens", "row", "token", "tokens of the true answer"}),
        column(&Row::paraphrase_logprob,
               {"paraphrase_logprob", "row", "nat", "log-probability of the paraphrased answer", sum}),
        column(&Row::paraphrase_tokens, {"paraphrase_tokens", "row", "token", "tokens of the paraphrased answer"}),
        column(&Row::wrong_logprob,
               {"wrong_logprob", "row", "nat", "log-probability of the wrong answers", sum, "wrong"}),
        column(&Row::wrong_tokens, {"wrong_tokens", "row", "token", "tokens of the wrong answers", "", "wrong"}),
        column(&Row::token_logprob,
               {"answer_token_logprob", "row", "nat", "log-probability of each token of the answer", each}),
        column(&Row::token_best,
               {"answer_token_best", "row", "1", "1: the token is the most probable one, 0: another is", each}),
        column(&Row::token_mean, {"answer_token_mean", "row", "nat",
                                  "mean of the log-probability of what is drawn in place of the token", each}),
        column(&Row::token_variance, {"answer_token_variance", "row", "nat2", "its variance", each}));
  }
};

// similarity: one row a prompt.
struct ShiftRow {
  int64_t item = 0, steps = 0;
  double sinkhorn_same = 0, sinkhorn_different = 0, sinkhorn_per_step_same = 0, sinkhorn_per_step_different = 0;
  double pearson_same = 0, pearson_different = 0, mean_square_same = 0, mean_square_different = 0;
  static auto columns() {
    using Row = ShiftRow;
    static constexpr char cloud[] = "geomloss, p 2, blur 0.01, points: steps; over the number of tokens";
    static constexpr char line[] = "points: tokens; mean over steps, over the number of tokens";
    return std::tuple(
        column(&Row::item, {"item", "prompt", "1", "index of the prompt in the data file"}),
        column(&Row::steps, {"steps", "prompt", "1", "tokens of the reference's answer"}),
        column(&Row::sinkhorn_same,
               {"sinkhorn_same", "prompt", "1", "Sinkhorn divergence, shifts of both models after same data", cloud}),
        column(&Row::sinkhorn_different, {"sinkhorn_different", "prompt", "1",
                                          "Sinkhorn divergence, shifts of both models after different data", cloud}),
        column(&Row::sinkhorn_per_step_same,
               {"sinkhorn_per_step_same", "prompt", "1",
                "Sinkhorn divergence per step, shifts of both models after same data", line}),
        column(&Row::sinkhorn_per_step_different,
               {"sinkhorn_per_step_different", "prompt", "1",
                "Sinkhorn divergence per step, shifts of both models after different data", line}),
        column(&Row::pearson_same,
               {"pearson_same", "prompt", "1", "Pearson correlation, shifts of both models after same data"}),
        column(&Row::pearson_different,
               {"pearson_different", "prompt", "1", "Pearson correlation, shifts of both models after different data"}),
        column(&Row::mean_square_same, {"mean_square_same", "prompt", "nat2",
                                        "mean squared difference, shifts of both models after same data"}),
        column(&Row::mean_square_different, {"mean_square_different", "prompt", "nat2",
                                             "mean squared difference, shifts of both models after different data"}));
  }
};

// similarity: one row a step of the reference's answers.
struct ShiftStepRow {
  int64_t item = 0, step = 0;
  std::vector<float> reference, same, different;
  static auto columns() {
    using Row = ShiftStepRow;
    static constexpr char about[] =
        "log-probability after fine-tuning minus before, at the reference's most probable tokens";
    return std::tuple(
        column(&Row::item, {"step_item", "step", "1", "prompt of the step"}),
        column(&Row::step, {"step_number", "step", "1", "step within the answer, from 0"}),
        column(&Row::reference, {"shift_reference", "step", "nat", "shift of the reference", about, "top"}),
        column(&Row::same, {"shift_same", "step", "nat", "shift of the other model after the same data", about, "top"}),
        column(&Row::different,
               {"shift_different", "step", "nat", "shift of the other model after different data", about, "top"}));
  }
};

}  // namespace cmc::records
