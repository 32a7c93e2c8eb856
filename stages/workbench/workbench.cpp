#include "stages/workbench/workbench.hpp"

#include <torch/cuda.h>

#include <algorithm>
#include <set>
#include <utility>

#include "pipeline/checkpoint/identity.hpp"
#include "pipeline/core/error.hpp"
#include "pipeline/core/hash.hpp"
#include "pipeline/core/log.hpp"
#include "pipeline/model/device_memory.hpp"
#include "pipeline/model/sum_order.hpp"
#include "pipeline/records/rows.hpp"
#include "pipeline/token_map/check_map.hpp"
#include "stages/planning/planned_compute.hpp"

namespace cmc::stages {

Compute compute_of(const Experiment& experiment, int rank_on_node) {
  auto compute = compute_named(experiment.compute.device, experiment.compute.dtype, rank_on_node);
  compute.deterministic = experiment.compute.deterministic;
  return compute;
}

int64_t device_bytes_of(const Experiment& experiment) {
  const double set = experiment.compute.device_memory;
  if (set > 0) return static_cast<int64_t>(set * 0x1p30);
  const bool is_here = plans_for_gpus(experiment) && torch::cuda::is_available();
  return is_here ? model::memory_of({torch::kCUDA, 0}).total : 0;
}

std::string name_of(const Compute& compute) {
  return name_of(ComputeKind{compute.device.is_cuda(), compute.dtype == torch::kBFloat16, compute.deterministic});
}

Compute compute_named(const std::string& device, const std::string& dtype, int rank_on_node) {
  Compute compute;
  const int devices = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (device == "cuda" && devices == 0)
    throw BadExperiment(
        {"compute.device", "is cuda, but no CUDA device is visible", "set compute.device = auto, or see cmc doctor"});
  if (device != "cpu" && devices > 0)
    compute.device = torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(rank_on_node % devices));
  if (compute.device.is_cuda()) model::forbid_reduced_sums();
  compute.dtype = is_bfloat16(dtype, compute.device.is_cuda()) ? torch::kBFloat16 : torch::kFloat32;
  return compute;
}

namespace {

bool can_have_one_order(const Compute& compute) {
  return compute.device.is_cpu() && compute.dtype == torch::kFloat32;
}

// `path` when its content is what the task was planned with.
std::filesystem::path unchanged(const std::filesystem::path& path, const std::string& identity) {
  if (checkpoint::content_identity(path) != identity)
    throw BadData({path.string(), "has changed since the plan was made",
                   "run again, so that it is planned with the new content"});
  return path;
}

}  // namespace

Workbench::Workbench(const Experiment& experiment, std::map<std::string, std::string> places,
                     std::filesystem::path output, Compute compute, std::function<bool()> stop,
                     std::function<void()> take_cores)
    : experiment_(experiment),
      places_(std::move(places)),
      output_(std::move(output)),
      compute_(compute),
      units_(output_),
      stop_(std::move(stop)),
      take_cores_(std::move(take_cores)),
      one_order_(can_have_one_order(compute)),
      batch_(experiment.compute.batch) {}

TaskProgress Workbench::progress(const std::string& name) const {
  return [this, log = log_progress(name)](int64_t done, int64_t total, const std::string& detail) {
    take_cores();
    log(done, total, detail);
  };
}

void Workbench::take_cores() const {
  if (one_order_) take_cores_();
}

const std::string& Workbench::place(const std::string& content) const {
  const auto found = places_.find(content);
  expect(found != places_.end(), "a task names only what its plan has found");
  return found->second;
}

bool Workbench::enter(const std::string& residency, const distributed::Communicator& tensor_group, int together,
                      int blocks) {
  if (residency == residency_ && tensor_group.transport() == tensor_group_.ranks().transport()) return false;
  models_.clear();
  one_order_ = can_have_one_order(compute_);
  hidden_.clear();
  residency_ = residency;
  tensor_group_ = Attempts(tensor_group);
  together_ = together;
  blocks_ = blocks;
  model_ranks_ = data_ranks_ = {};
  dealt_ = nullptr;
  grouped_ = nullptr;
  batch_ = experiment_.compute.batch;
  halvings_ = 0;
  return true;
}

std::filesystem::path Workbench::folder(const records::ModelReference& reference) const {
  if (const auto* made = std::get_if<records::MadeModel>(&reference.origin)) return trained_folder(made->task);
  if (const auto* adapted = std::get_if<records::AdaptedModel>(&reference.origin)) return trained_folder(adapted->task);
  const auto* found = std::get_if<records::FolderModel>(&reference.origin);
  expect(found != nullptr, "random weights have no folder");
  return unchanged(place(found->identity), found->identity);
}

void expect_planned(const std::filesystem::path& file, const std::string& content_hash,
                    const records::FileReference& reference) {
  if (content_hash != reference.sha256)
    throw BadData({file.string(), "has changed since the plan was made", "run again"});
}

model::DecoderModel Workbench::load(const records::ModelReference& reference, torch::Dtype dtype,
                                    model::TensorRank tensor_rank) const {
  const auto path = folder(reference);
  const auto* adapted = std::get_if<records::AdaptedModel>(&reference.origin);
  if (!adapted) {
    auto loaded = model::DecoderModel::load(path, dtype, compute_.device, tensor_rank);
    one_order_ = one_order_ && model::sums_in_one_order(loaded.config());
    return loaded;
  }
  return load(*adapted->base, dtype, tensor_rank).with_adapters(path).merged();
}

namespace {

const std::string split_model = "split: ";

// What a model is kept under.
std::string kept_as(const records::ModelReference& reference, int bits) {
  return reference.identity() + (bits > 0 ? " int" + std::to_string(bits) : "");
}

std::shared_ptr<const model::DecoderModel> kept(model::DecoderModel loaded, int bits) {
  return std::make_shared<const model::DecoderModel>(bits > 0 ? std::move(loaded).rounded(bits) : std::move(loaded));
}

}  // namespace

std::shared_ptr<const model::DecoderModel> Workbench::model(const records::ModelReference& reference, int bits) {
  auto& model = models_[kept_as(reference, bits)];
  if (model) return model;
  log_info("loading ", folder(reference).string());
  auto loaded = load(reference, compute_.dtype);
  return model = kept(std::move(loaded), bits);
}

std::shared_ptr<const model::DecoderModel> Workbench::target(const records::ModelReference& reference, int bits) {
  const distributed::Communicator& tensor_group = model_ranks();
  if (tensor_group.size() == 1) return model(reference, bits);
  auto& model = models_[split_model + kept_as(reference, bits)];
  if (!model) model = kept(load_split(reference, compute_.dtype), bits);
  return model;
}

model::DecoderModel Workbench::load_split(const records::ModelReference& reference, torch::Dtype dtype) {
  const distributed::Communicator& tensor_group = model_ranks();
  const model::TensorGroup group(tensor_group, compute_.device, blocks_);
  log_info("loading part ", tensor_group.rank() + 1, " of ", tensor_group.size(), " of ", folder(reference).string());
  return load(reference, dtype, group.tensor_rank()).over(group);
}

std::shared_ptr<const text::Tokenizer> Workbench::tokenizer(const records::ModelReference& reference) {
  auto& tokenizer = tokenizers_[reference.identity()];
  if (!tokenizer) tokenizer = text::load_tokenizer(folder(reference));
  return tokenizer;
}

std::shared_ptr<const token_map::TokenMap> Workbench::token_map(const std::string& key) {
  if (key.empty()) return nullptr;
  auto& map = maps_[key];
  if (map) return map;
  const store::Unit unit = units_.read(key);
  auto loaded = std::make_shared<token_map::TokenMap>();
  const std::string where = units_.path(key).string();
  for (const auto& row : records::read_rows<records::TokenMapRow>(unit)) {
    loaded->ids.push_back({row.delta_token});
    loaded->match.push_back(static_cast<token_map::Match>(row.match));
    if (!row.candidates) continue;
    if (loaded->offsets.empty()) loaded->offsets.push_back(0);
    for (const int32_t id : *row.candidates) loaded->candidates.push_back({id});
    loaded->offsets.push_back(static_cast<int64_t>(loaded->candidates.size()));
  }
  loaded->delta_size = json_field<int32_t>(unit.task, "delta_size", where);
  loaded->pooling = token_map::pooling_of(token_map::method_named(json_field<std::string>(unit.task, "method", where)));
  token_map::check_map(*loaded, where);
  return map = std::move(loaded);
}

std::shared_ptr<train::HiddenStore> Workbench::hidden_states(const records::ModelReference& reference,
                                                             std::shared_ptr<const model::DecoderModel> model) {
  auto& states = hidden_[reference.identity()];
  if (!states || &states->model() != model.get()) {
    train::HiddenStoreSettings settings;
    settings.spill_folder = output_;
    settings.pass_tokens = frozen_pass_tokens();
    if (halvings_ > 0) settings.device_bytes = 0;
    states = std::make_shared<train::HiddenStore>(std::move(model), settings);
  }
  return states;
}

void Workbench::deal_ranks() {
  const distributed::Communicator& all = tensor_group_.group();
  if (all.transport() == dealt_) return;
  model_ranks_ = all;
  data_ranks_ = {};
  if (all.size() > together_) {
    const auto ranks = [&](int first, int count, int step) {
      std::vector<int> members;
      for (int i = 0; i < count; ++i) members.push_back(first + i * step);
      return members;
    };
    const int group = all.rank() / together_, part = all.rank() % together_, groups = all.size() / together_;
    model_ranks_ = all.group(ranks(group * together_, together_, 1), group);
    data_ranks_ = all.group(ranks(part, groups, together_), groups + part);
  }
  dealt_ = all.transport();
}

const distributed::Communicator& Workbench::model_ranks() {
  deal_ranks();
  return model_ranks_;
}

const distributed::Communicator& Workbench::data_ranks() {
  deal_ranks();
  return data_ranks_;
}

namespace {

// Collective.
std::set<std::string> held_by_all(std::set<std::string> names, const distributed::Communicator& group) {
  std::string lines = "\n";
  for (const auto& name : names) lines += name + "\n";
  for (const std::string& theirs : group.all_gather(lines))
    std::erase_if(names, [&](const auto& name) { return theirs.find("\n" + name + "\n") == std::string::npos; });
  return names;
}

}  // namespace

void Workbench::regroup_split_models() {
  const distributed::Communicator& group = model_ranks();
  if (group.transport() == std::exchange(grouped_, group.transport())) return;
  std::set<std::string> held;
  for (const auto& [name, model] : models_)
    if (model && name.starts_with(split_model)) held.insert(name);
  // Memory may have run out on one rank while it loaded what another has: all load that again, together.
  const std::set<std::string> by_all = held_by_all(held, group);
  std::erase_if(models_, [&](const auto& entry) {
    return entry.first.starts_with(split_model) && !by_all.contains(entry.first);
  });
  if (by_all.empty()) return;
  const model::TensorGroup over(group, compute_.device, blocks_);
  for (const auto& name : by_all) {
    auto& model = models_.at(name);
    model = std::make_shared<const model::DecoderModel>(model->over(over));
  }
}

bool Workbench::spare_memory() {
  constexpr int most_halvings = 10;  // the tokens of a pass are a thousand
  if (batch_ == 1 && halvings_ >= most_halvings) return false;
  batch_ = std::max<int64_t>(1, batch_ / 2);
  ++halvings_;
  hidden_.clear();
  return true;
}

std::optional<int64_t> Workbench::frozen_pass_tokens() const {
  if (compute_.deterministic || halvings_ > 0) return 0;
  return std::nullopt;
}

}  // namespace cmc::stages
