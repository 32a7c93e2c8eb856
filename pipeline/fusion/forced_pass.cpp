#include "pipeline/fusion/forced_pass.hpp"

#include <algorithm>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/prefix_forest.hpp"

namespace cmc::fusion {
namespace {

bool steered_by(const ForcedSequence& sequence, int64_t delta) {
  return sequence.steering.alpha != 0.0f && sequence.steering.delta == delta;
}

// [A, hidden]: one model's states at the positions that predict, over the sequences that `wanted` selects.
template <class Wanted>
torch::Tensor states_before_answers(const model::DecoderModel& model, std::span<const ForcedSequence> sequences,
                                    Wanted wanted) {
  std::vector<int64_t> tokens, predicting;
  model::ModelInput input;
  for (const auto& sequence : sequences) {
    const auto length = static_cast<int64_t>(sequence.tokens.size());
    if (!wanted(sequence) || sequence.first >= length) continue;
    const auto start = static_cast<int64_t>(tokens.size());
    for (int64_t t = 0; t + 1 < length; ++t) tokens.push_back(sequence.tokens[static_cast<size_t>(t)].value);
    for (int64_t t = sequence.first; t < length; ++t) predicting.push_back(start + t - 1);
    input.spans.push_back({static_cast<int64_t>(input.spans.size()), length - 1});
  }
  input.tokens = torch::tensor(tokens, torch::kInt64).to(model.device());
  return model.hidden(input, nullptr).index_select(0, torch::tensor(predicting, torch::kInt64).to(model.device()));
}

// [A, hidden] at the given nodes of a forest.
torch::Tensor states_of_nodes(const model::DecoderModel& model, const PrefixForest& forest,
                              const std::vector<int64_t>& nodes) {
  auto mask = forest.mask();
  model::ModelInput input;
  input.tokens = torch::tensor(forest.tokens(), torch::kInt64).to(model.device());
  input.positions = torch::tensor(forest.positions(), torch::kInt64).to(model.device());
  input.spans = {{0, forest.size()}};
  input.tree_mask =
      torch::from_blob(mask.data(), {forest.size(), forest.size()}, torch::kUInt8).to(torch::kBool).to(model.device());
  return model.hidden(input, nullptr).index_select(0, torch::tensor(nodes, torch::kInt64).to(model.device()));
}

std::vector<int32_t> plain_ids(const std::vector<BaseToken>& tokens) {
  std::vector<int32_t> ids;
  ids.reserve(tokens.size());
  for (const auto token : tokens) ids.push_back(token.value);
  return ids;
}

}  // namespace

struct ForcedPass::Share {
  const DeltaStream* delta = nullptr;
  std::vector<torch::Tensor> states;  // a part: [K, hidden]
  std::vector<int64_t> rows;          // [K] ascending: which predicted position each belongs to
  std::vector<float> alphas;          // [K]
};

ForcedPass::ForcedPass(const Base& base, const std::vector<DeltaStream>& deltas, const FusionSettings& settings)
    : base_(base), deltas_(deltas), settings_(settings) {}

void ForcedPass::run(std::span<const ForcedSequence> sequences, int64_t number,
                     const LogitSource::TakeForced& take) const {
  const torch::NoGradGuard no_gradients;
  std::vector<ForcedPosition> positions;
  for (size_t s = 0; s < sequences.size(); ++s)
    for (auto t = sequences[s].first; t < static_cast<int64_t>(sequences[s].tokens.size()); ++t)
      positions.push_back({number + static_cast<int64_t>(s), t});
  if (positions.empty()) return;
  const auto states = states_before_answers(*base_.model, sequences, [](const auto&) { return true; });
  std::vector<Share> shares;
  for (int64_t d = 0; d < static_cast<int64_t>(deltas_.size()); ++d) {
    const auto& delta = deltas_[static_cast<size_t>(d)];
    auto share = delta.same_vocabulary() ? same_vocabulary(delta, sequences, d) : other_vocabulary(delta, sequences, d);
    if (!share.rows.empty()) shares.push_back(std::move(share));
  }
  take_chunks(states, shares, positions, take);
}

ForcedPass::Share ForcedPass::same_vocabulary(const DeltaStream& delta, std::span<const ForcedSequence> sequences,
                                              int64_t index) const {
  Share share{&delta, {}, {}, {}};
  int64_t row = 0;
  for (const auto& sequence : sequences)
    for (auto t = sequence.first; t < static_cast<int64_t>(sequence.tokens.size()); ++t, ++row)
      if (steered_by(sequence, index)) {
        share.rows.push_back(row);
        share.alphas.push_back(sequence.steering.alpha);
      }
  if (share.rows.empty()) return share;
  for (const auto& sequence : sequences)
    if (steered_by(sequence, index)) delta.check_ids(plain_ids(sequence.tokens));
  for (const auto& part : delta.delta().parts)
    share.states.push_back(
        states_before_answers(*part.model, sequences, [&](const auto& s) { return steered_by(s, index); }));
  return share;
}

ForcedPass::Share ForcedPass::other_vocabulary(const DeltaStream& delta, std::span<const ForcedSequence> sequences,
                                               int64_t index) const {
  Share share{&delta, {}, {}, {}};
  PrefixForest forest;
  std::vector<int64_t> nodes;
  int64_t row = 0;
  for (const auto& sequence : sequences) {
    const auto ids = plain_ids(sequence.tokens);
    for (auto t = sequence.first; t < static_cast<int64_t>(ids.size()); ++t, ++row) {
      if (!steered_by(sequence, index)) continue;
      const auto before = std::span(ids).first(static_cast<size_t>(t));
      const auto text = base_.tokenizer->decode(before, text::Tokenizer::SpecialText::skip);
      const auto context = delta.delta().tokenizer->encode(text, text::AddedTokens::as_model);
      delta.check_ids(context);
      const int64_t node = forest.add(context);
      if (node < 0) continue;  // an empty context gives no shift
      nodes.push_back(node);
      share.rows.push_back(row);
      share.alphas.push_back(sequence.steering.alpha);
    }
  }
  if (nodes.empty()) return share;
  for (const auto& part : delta.delta().parts) share.states.push_back(states_of_nodes(*part.model, forest, nodes));
  return share;
}

void ForcedPass::take_chunks(const torch::Tensor& base_states, const std::vector<Share>& shares,
                             std::span<const ForcedPosition> positions, const LogitSource::TakeForced& take) const {
  const auto total = static_cast<int64_t>(positions.size());
  const int64_t chunk = std::max<int64_t>(1, settings_.forced_logits / base_.model->config().vocabulary);
  const auto base_normalisation =
      settings_.mode == FusionMode::raw_sum ? Normalisation::raw : Normalisation::log_softmax;
  for (int64_t begin = 0; begin < total; begin += chunk) {
    const int64_t end = std::min(begin + chunk, total);
    std::vector<LogitTerm> terms;
    for (const auto& share : shares) {
      const auto from = std::lower_bound(share.rows.begin(), share.rows.end(), begin) - share.rows.begin();
      const auto to = std::lower_bound(share.rows.begin(), share.rows.end(), end) - share.rows.begin();
      if (from == to) continue;
      std::vector<int64_t> rows(share.rows.begin() + from, share.rows.begin() + to);
      for (int64_t& row : rows) row -= begin;
      const std::vector<float> alphas(share.alphas.begin() + from, share.alphas.begin() + to);
      for (size_t part = 0; part < share.states.size(); ++part) {
        const auto logits =
            share.delta->delta().parts[part].model->logits(share.states[part].narrow(0, from, to - from));
        terms.push_back(share.delta->term(part, logits, rows, alphas));
      }
    }
    const FusedLogits fused(base_.model->logits(base_states.narrow(0, begin, end - begin)), base_normalisation,
                            std::move(terms));
    take(fused, positions.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  }
}

}  // namespace cmc::fusion
