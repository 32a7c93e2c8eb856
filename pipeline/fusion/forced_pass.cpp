#include "pipeline/fusion/forced_pass.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>

#include "pipeline/core/error.hpp"
#include "pipeline/fusion/delta_reader.hpp"
#include "pipeline/fusion/sequence_states.hpp"
#include "pipeline/model/device_memory.hpp"

namespace cmc::fusion {
namespace {

bool steered_by(const SharedSequence& sequence, int64_t delta) {
  return std::any_of(sequence.requests.begin(), sequence.requests.end(),
                     [&](const auto& request) { return request.steering.alpha_of(delta) != 0.0f; });
}

const ForcedSequence::DeltaText& text_of(const SharedSequence& sequence, int64_t delta) {
  static const ForcedSequence::DeltaText as_the_base;
  return delta < std::ssize(sequence.deltas) ? sequence.deltas[static_cast<size_t>(delta)] : as_the_base;
}

int64_t length_of(const SharedSequence& sequence) {
  return static_cast<int64_t>(sequence.tokens.size());
}

torch::Tensor rows_of(const torch::Tensor& all, const std::vector<int64_t>& rows) {
  return all.index_select(0, torch::tensor(rows, torch::kInt64).to(all.device()));
}

// Rows of `of` within [begin, end), counted from begin; `offset`: of the first such row in `of`. Rows ascend.
std::vector<int64_t> rows_between(const std::vector<int64_t>& of, int64_t begin, int64_t end, int64_t& offset) {
  const auto from = std::lower_bound(of.begin(), of.end(), begin), to = std::lower_bound(from, of.end(), end);
  offset = from - of.begin();
  std::vector<int64_t> rows(from, to);
  for (int64_t& row : rows) row -= begin;
  return rows;
}

}  // namespace

FusionSettings with_forced_limits(FusionSettings settings, const model::DecoderModel& base) {
  int64_t tokens = 1024, logits = int64_t{1} << 24;
  if (base.device().is_cuda()) {
    tokens = model::pass_tokens_on(base.device(), base.config(), base.dtype());
    logits = int64_t{1} << 27;  // half a gigabyte, and three times that for what the fusion makes of them
  }
  if (settings.forced_tokens == 0) settings.forced_tokens = tokens;
  if (settings.forced_logits == 0) settings.forced_logits = logits;
  return settings;
}

std::vector<SharedSequence> shared_sequences(std::span<const ForcedSequence> sequences) {
  std::vector<SharedSequence> shared;
  // Where a delta's text starts at `first`, only sequences with one `first` read the same.
  using Reads = std::tuple<std::vector<BaseToken>, std::vector<ForcedSequence::DeltaText>, int64_t>;
  std::map<Reads, size_t> known;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const auto& sequence = sequences[s];
    const bool from_start = std::ranges::all_of(sequence.deltas, [](const auto& text) { return text.prompt.empty(); });
    const int64_t start = from_start ? 0 : sequence.first;
    const auto [at, is_new] = known.try_emplace(Reads{sequence.tokens, sequence.deltas, start}, shared.size());
    if (is_new) shared.push_back({sequence.tokens, sequence.first, sequence.deltas, {}});
    auto& joined = shared[at->second];
    joined.first = std::min(joined.first, sequence.first);
    joined.requests.push_back({static_cast<int64_t>(s), sequence.first, sequence.steering});
  }
  return shared;
}

struct ForcedPass::Share {
  int64_t delta = 0;
  std::vector<torch::Tensor> states;  // a part: [K, hidden]
  std::vector<int64_t> rows;          // [K] ascending: which predicted position each belongs to
};

struct ForcedPass::Chunk {
  struct Shift {
    int64_t delta = 0;
    torch::Tensor logits;       // [K, Vi]
    std::vector<int64_t> rows;  // [K] of the chunk
  };
  torch::Tensor base;         // [R, V]
  std::vector<Shift> shifts;  // one a delta
};

ForcedPass::ForcedPass(const Base& base, const std::vector<DeltaStream>& deltas, const FusionSettings& settings)
    : base_(base), deltas_(deltas), settings_(settings) {}

void ForcedPass::run(std::span<const SharedSequence> sequences, const LogitSource::TakeForced& take) const {
  const torch::NoGradGuard no_gradients;
  std::vector<ForcedPosition> positions;  // `sequence` counts `sequences` here
  std::vector<Predicted> predicted;
  for (size_t s = 0; s < sequences.size(); ++s) {
    predicted.push_back({sequences[s].tokens, sequences[s].first});
    for (auto t = sequences[s].first; t < length_of(sequences[s]); ++t)
      positions.push_back({static_cast<int64_t>(s), t});
  }
  if (positions.empty()) return;
  const auto states = states_before_answers(*base_.model, predicted);
  std::vector<Share> shares;
  for (int64_t d = 0; d < static_cast<int64_t>(deltas_.size()); ++d) {
    const bool same = deltas_[static_cast<size_t>(d)].same_vocabulary();
    auto share = same ? same_vocabulary(d, sequences) : other_vocabulary(d, sequences);
    if (!share.rows.empty()) shares.push_back(std::move(share));
  }
  const auto total = static_cast<int64_t>(positions.size());
  const int64_t size = std::max<int64_t>(1, settings_.forced_logits / base_.model->config().vocabulary);
  for (int64_t begin = 0; begin < total; begin += size) {
    const int64_t end = std::min(begin + size, total);
    take_chunk(logits_of(states, shares, begin, end), sequences,
               std::span(positions).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), take);
  }
}

// What the base reads; a contrast its own prompt in place of the base's, where it has one.
ForcedPass::Reading ForcedPass::reading_of(const SharedSequence& sequence, int64_t delta) const {
  const auto& prompt = text_of(sequence, delta).prompt;
  if (!deltas_[static_cast<size_t>(delta)].contrasts() || prompt.empty()) return {sequence.tokens, sequence.first};
  Reading reading{tokens_of<BaseToken>(plain_ids(prompt)), std::ssize(prompt)};
  reading.tokens.insert(reading.tokens.end(), sequence.tokens.begin() + sequence.first, sequence.tokens.end());
  return reading;
}

ForcedPass::Share ForcedPass::same_vocabulary(int64_t delta, std::span<const SharedSequence> sequences) const {
  const auto& stream = deltas_[static_cast<size_t>(delta)];
  Share share{delta, {}, {}};
  std::deque<Reading> readings;  // stay where they are
  std::vector<Predicted> predicted;
  int64_t row = 0;
  for (const auto& sequence : sequences) {
    const bool steered = steered_by(sequence, delta);
    if (steered) {
      const auto& reading = readings.emplace_back(reading_of(sequence, delta));
      stream.check_ids(plain_ids(reading.tokens));
      predicted.push_back({reading.tokens, reading.first});
    }
    for (auto t = sequence.first; t < length_of(sequence); ++t, ++row)
      if (steered) share.rows.push_back(row);
  }
  if (share.rows.empty()) return share;
  for (const auto& part : stream.delta().parts) share.states.push_back(states_before_answers(*part.model, predicted));
  return share;
}

ForcedPass::Share ForcedPass::other_vocabulary(int64_t delta, std::span<const SharedSequence> sequences) const {
  const auto& stream = deltas_[static_cast<size_t>(delta)];
  Share share{delta, {}, {}};
  std::vector<std::vector<torch::Tensor>> states(stream.delta().parts.size());  // by part, of one forest after another
  PrefixForest forest;
  std::vector<int64_t> nodes;
  const auto read_forest = [&] {
    for (size_t part = 0; part < states.size() && !nodes.empty(); ++part)
      states[part].push_back(states_of_nodes(*stream.delta().parts[part].model, forest, nodes));
    forest = {};
    nodes.clear();
  };
  int64_t row = 0;
  for (const auto& sequence : sequences) {
    const bool steered = steered_by(sequence, delta);
    if (steered && forest.size() >= largest_tree) read_forest();
    const DeltaReader reader(sequence.tokens, sequence.first, text_of(sequence, delta), *base_.tokenizer,
                             *stream.delta().tokenizer);
    for (auto t = sequence.first; t < length_of(sequence); ++t, ++row) {
      if (!steered) continue;
      const auto context = reader.before(t);
      stream.check_ids(context);
      const int64_t node = forest.add(context);
      if (node < 0) continue;  // an empty context gives no shift
      nodes.push_back(node);
      share.rows.push_back(row);
    }
  }
  read_forest();
  if (share.rows.empty()) return share;
  for (auto& parts : states) share.states.push_back(parts.size() == 1 ? parts.front() : torch::cat(parts));
  return share;
}

ForcedPass::Chunk ForcedPass::logits_of(const torch::Tensor& base_states, const std::vector<Share>& shares,
                                        int64_t begin, int64_t end) const {
  Chunk chunk{base_.model->logits(base_states.narrow(0, begin, end - begin)), {}};
  for (const auto& share : shares) {
    int64_t offset = 0;
    const auto rows = rows_between(share.rows, begin, end, offset);
    if (rows.empty()) continue;
    const auto& stream = deltas_[static_cast<size_t>(share.delta)];
    std::vector<torch::Tensor> logits;
    for (size_t part = 0; part < share.states.size(); ++part) {
      const auto states = share.states[part].narrow(0, offset, static_cast<int64_t>(rows.size()));
      logits.push_back(stream.delta().parts[part].model->logits(states));
    }
    auto shift = stream.combined(std::move(logits));
    if (stream.contrasts()) shift = DeltaStream::contrast(rows_of(chunk.base, rows), shift);
    chunk.shifts.push_back({share.delta, std::move(shift), rows});
  }
  return chunk;
}

// One call of `take` for the first request of each sequence, one for the second, and so on: the logits are shared.
void ForcedPass::take_chunk(const Chunk& chunk, std::span<const SharedSequence> sequences,
                            std::span<const ForcedPosition> positions, const LogitSource::TakeForced& take) const {
  const auto normalisation = settings_.mode == FusionMode::raw_sum ? Normalisation::raw : Normalisation::log_softmax;
  for (size_t nth = 0, left = 1; left > 0; ++nth) {
    std::vector<int64_t> kept;                         // rows of the chunk that the nth request asks for
    std::vector<int64_t> place(positions.size(), -1);  // row of the chunk → among the kept
    std::vector<ForcedPosition> asked;
    std::vector<const Steering*> steering;
    left = 0;
    for (size_t row = 0; row < positions.size(); ++row) {
      const auto& requests = sequences[static_cast<size_t>(positions[row].sequence)].requests;
      if (nth + 1 < requests.size()) ++left;
      if (nth >= requests.size() || positions[row].token < requests[nth].first) continue;
      place[row] = static_cast<int64_t>(kept.size());
      kept.push_back(static_cast<int64_t>(row));
      asked.push_back({requests[nth].number, positions[row].token});
      steering.push_back(&requests[nth].steering);
    }
    if (kept.empty()) continue;
    std::vector<LogitTerm> terms;
    for (const auto& shift : chunk.shifts) {
      std::vector<int64_t> rows, from;
      std::vector<float> alphas;
      for (size_t k = 0; k < shift.rows.size(); ++k) {
        const int64_t row = place[static_cast<size_t>(shift.rows[k])];
        if (row < 0) continue;
        const float alpha = steering[static_cast<size_t>(row)]->alpha_of(shift.delta);
        if (alpha == 0.0f) continue;
        rows.push_back(row);
        from.push_back(static_cast<int64_t>(k));
        alphas.push_back(alpha);
      }
      if (rows.empty()) continue;
      const auto logits = from.size() == shift.rows.size() ? shift.logits : rows_of(shift.logits, from);
      terms.push_back(deltas_[static_cast<size_t>(shift.delta)].term(logits, std::move(rows), std::move(alphas)));
    }
    const auto base = kept.size() == positions.size() ? chunk.base : rows_of(chunk.base, kept);
    take(FusedLogits(base, normalisation, std::move(terms)), asked);
  }
}

}  // namespace cmc::fusion
