#pragma once
#include <memory>
#include <span>
#include <vector>

#include "pipeline/fusion/packed_numbers.hpp"
#include "pipeline/fusion/side_stream.hpp"
#include "pipeline/fusion/steered_contexts.hpp"
#include "pipeline/fusion/step_graph.hpp"

namespace cmc::fusion {

// Carries out the steps of a source's contexts where its models are: what a step needs goes there in one copy, the
// tokens it chose come back in another, and in between nothing waits. A chosen token is fed back without the host.
// Deltas run on a stream of their own beside the base, but for contrasts, which are the base itself; those that read
// what the host encodes follow when the host has the tokens of the step before, while the base's pass is under way.
// Steps that only decode are captured as graphs, one for each number of rows, filled up.
class StepRunner {
 public:
  // `contexts` outlives the runner.
  StepRunner(SteeredContexts& contexts, const FusionSettings& settings);

  struct Read {
    FusedLogits logits;       // of the rows that are read whole, in the order of their slots
    std::vector<bool> whole;  // [slots]
  };
  // Lets the models read what is new in these open slots: of a prompt a portion, of others everything.
  Read read(std::span<const int64_t> slots);

  // See LogitSource.
  std::shared_ptr<Chosen> step(std::span<const Turn> turns, const Sampling& sampling);

  // Graphs hold addresses of what the models keep: to be called when other passes may have moved it.
  void forget_graphs() { graphs_.clear(); }

 private:
  // A delta's share of a step, and the step, where the device reads them.
  struct DeltaOnDevice {
    size_t delta = 0;
    std::vector<model::DevicePlan> passes;
    std::vector<int64_t> rows;
    std::vector<float> alphas;
    Placed placed;
    torch::Tensor base_rows;  // [K] int32 row of the base each belongs to
  };
  // Where a delta's passes and rows stand among a step's numbers.
  struct Placing {
    std::vector<PackedNumbers::Place> passes;
    PackedNumbers::Place row_of, coefficients, base_rows;
  };
  struct StepOnDevice {
    int64_t rows = 0;                     // padding included
    std::vector<model::DevicePlan> base;  // none: the base reads nothing
    std::vector<DeltaOnDevice> deltas;
    std::vector<double> uniforms;
    torch::Tensor placed_uniforms;  // [rows] float64
    torch::Tensor slots;            // [rows] int32
  };
  struct Key {
    bool chooses = true;  // else the base's pass alone
    std::vector<size_t> deltas;
    std::vector<model::PassShape> shapes;
    double temperature = 0.0, top_p = 1.0;
    bool operator==(const Key&) const = default;
  };
  struct Graph {
    Key key;
    std::shared_ptr<torch::Tensor> result;  // tokens [rows] int32, or the base's logits
    StepGraph work;
  };

  bool captures() const;
  static Placing add_delta(PackedNumbers& numbers, const DeltaReading& delta, int64_t rows);
  DeltaOnDevice delta_at(const torch::Tensor& words, const Placing& at, const DeltaReading& delta) const;
  StepOnDevice upload(const StepPlan& plan, std::span<const Turn> turns);
  void upload_encoded(const StepPlan& plan, StepOnDevice& step);
  torch::Tensor base_logits(const StepOnDevice& step);
  std::vector<LazyLogits> shifts(const StepOnDevice& step, const torch::Tensor& base);
  FusedLogits fused(const StepOnDevice& step, torch::Tensor base);
  void choose(const StepOnDevice& step, const FusedLogits& logits, const Sampling& sampling, torch::Tensor& tokens);
  FusedLogits launch(StepPlan& plan, StepOnDevice& step);
  torch::Tensor captured(const StepOnDevice& step, const Sampling& sampling);
  torch::Tensor captured_base(const StepOnDevice& step);
  Graph& graph_of(Key key, const StepOnDevice& step, const std::function<std::function<void()>(torch::Tensor&)>& work);
  std::shared_ptr<Chosen> download(const torch::Tensor& tokens, std::vector<bool> whole);

  SteeredContexts& contexts_;
  FusionSettings settings_;
  torch::Device device_;
  model::PlanBuffers numbers_, encoded_numbers_;
  SideStream side_;
  torch::Tensor chosen_;  // [slots + 1] int32: the last token of each slot, then that of padding
  std::vector<Graph> graphs_;
  std::vector<int64_t> graph_state_;  // what the graphs' addresses depend on
};

}  // namespace cmc::fusion
