#include "stages/verbs/model_options.hpp"

#include <ATen/Parallel.h>

#include <functional>
#include <map>

#include "pipeline/records/system.hpp"

namespace cmc::stages {
namespace {

namespace po = boost::program_options;

std::shared_ptr<const text::Tokenizer> tokenizer_of(const std::filesystem::path& folder,
                                                    const model::DecoderModel& model) {
  auto tokenizer = text::load_tokenizer(folder);
  text::expect_belongs(*tokenizer, model.config().vocabulary, folder.string());
  return tokenizer;
}

struct MapChoice {
  token_map::Method method;
  token_map::Compat compat = token_map::Compat::corrected;
  fusion::TopOf top_of = fusion::TopOf::base;
};

MapChoice map_named(const std::string& name) {
  using token_map::Compat, token_map::Method;
  static const std::map<std::string, MapChoice, std::less<>> known = {
      {"auto", {Method::pm_mined}},
      {"authors", {Method::pm_mined, Compat::authors}},
      {"exact_only", {Method::exact_only}},
      {"one_to_many", {Method::one_to_many}},
      {"min_ed", {Method::min_ed}},
      {"prefix_sum", {Method::prefix_sum}},
      {std::string(records::top_union), {Method::pm_mined, Compat::corrected, fusion::TopOf::either}}};
  if (const auto found = known.find(name); found != known.end()) return found->second;
  std::string names;
  for (const auto& [each, choice] : known) names += (names.empty() ? "" : ", ") + each;
  throw Usage({"--map " + name, "is not known", "known: " + names});
}

}  // namespace

void add_model_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>(), "target: Hugging Face folder")(
      "delta", po::value<std::vector<std::string>>()->composing(),
      "delta model: Hugging Face folder; repeatable: they are added up")(
      "alpha", po::value<std::vector<float>>()->composing()->default_value({1.0f}, "1"),
      "strength of all deltas; repeated: of each, in their order")(
      "map", po::value<std::string>()->default_value("auto"),
      "auto: made when the vocabularies differ; exact_only; one_to_many; min_ed; prefix_sum; top_union; authors")(
      "top", po::value<int64_t>()->default_value(0),
      "one_to_many: delta logits for so many of the base's tokens a step, 0: all; top_union: for so many of either's")(
      "unmapped", po::value<std::string>()->default_value("zero"),
      "what tokens without a delta token get: zero, minimum or mean")(
      "mode", po::value<std::string>()->default_value("base_normalized"),
      "base_normalized, both_normalized or raw_sum")(
      "gate", po::value<std::string>()->default_value("none"),
      "where the delta counts: none, everywhere; plausible, at tokens that the base finds so; unsure, where it is; "
      "disagreement, the more it moves the base")(
      "gate-threshold", po::value<double>()->default_value(0.01),
      "plausible: share of the most probable token's probability; unsure: its probability, below which")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu or cuda")(
      "dtype", po::value<std::string>()->default_value("auto"), "auto, float32 or bfloat16")(
      "batch", po::value<int64_t>()->default_value(16), "sequences at once")(
      "tensor-parallel", po::bool_switch(), "split the target over all ranks of mpirun")(
      "pipeline-parallel", po::value<int>()->default_value(1)->value_name("N"),
      "in N blocks of these, which hold its layers one after the other");
}

void add_contrast_option(po::options_description& options) {
  options.add_options()("contrast", po::value<std::string>(),
                        "adds what the target says more of its prompt than of the same asked so: plain, open_instruct, "
                        "inst or question_answer; its alpha comes after those of the deltas");
}

bool takes_part(const Arguments& arguments, const distributed::Session& session) {
  return session.world().rank() == 0 || arguments.get<bool>("tensor-parallel");
}

namespace {

fusion::FusionSettings fusion_settings(const Arguments& arguments) {
  fusion::FusionSettings settings;
  settings.mode = fusion::fusion_mode(arguments.get("mode"));
  settings.unmapped = fusion::unmapped(arguments.get("unmapped"));
  settings.top = arguments.number<int64_t>("top", {.least = 0, .most = 1e9});
  const auto map = arguments.get("map");
  settings.top_of = map_named(map).top_of;
  if (settings.top > 0 && map != "one_to_many" && map != records::top_union)
    throw Usage({"--top", "is for one_to_many and top_union alone", "add --map one_to_many, or leave it out"});
  if (settings.top == 0 && map == records::top_union)
    throw Usage({"--map top_union", "says nothing of how many tokens", "add --top 10"});
  settings.gate = {fusion::gate_rule(arguments.get("gate")),
                   arguments.number<double>("gate-threshold", {.least = 0, .most = 1, .above_least = true})};
  if (settings.gate.is_open()) arguments.expect_not_given({"gate-threshold"}, "there is no --gate");
  if (settings.gate.rule == fusion::GateRule::disagreement)
    arguments.expect_not_given({"gate-threshold"}, "disagreement has none");
  settings.slots = arguments.number<int64_t>("batch", {.least = 1, .most = 65536});
  return settings;
}

// Of so many deltas: each its own, or one for all.
std::vector<float> strengths_of(const Arguments& arguments, size_t deltas) {
  auto alphas = arguments.numbers<float>("alpha", {.least = -1000, .most = 1000});
  if (alphas.size() == 1) alphas.resize(deltas, alphas.front());
  if (alphas.size() != deltas)
    throw Usage({"--alpha",
                 "is given " + std::to_string(alphas.size()) + " times for " + std::to_string(deltas) +
                     (deltas == 1 ? " delta" : " deltas"),
                 "give one for all, or one for each --delta, then for --contrast"});
  return alphas;
}

using LoadModel = std::function<std::shared_ptr<const model::DecoderModel>(const std::filesystem::path&)>;

// Throws Usage for a style that would read what the target reads.
text::PromptTemplate contrast_prompt(const Arguments& arguments) {
  const std::string name = arguments.get("contrast");
  for (const auto style : {text::PromptStyle::plain, text::PromptStyle::open_instruct, text::PromptStyle::inst,
                           text::PromptStyle::question_answer}) {
    if (name != name_of(style)) continue;
    if (style == text::PromptStyle::plain && !(arguments.has("chat") && arguments.get<bool>("chat")))
      throw Usage(
          {"--contrast plain", "has no effect: prompts are read as they stand", "add --chat, or another style"});
    return text::fixed_prompt(style);
  }
  throw Usage({"--contrast " + name, "is not known", "known: plain, open_instruct, inst, question_answer"});
}

std::vector<fusion::Delta> load_deltas(const Arguments& arguments, const LoadModel& load, const fusion::Base& base,
                                       LoadedPair& pair) {
  const auto choice = map_named(arguments.get("map"));
  std::vector<std::string> folders;
  if (arguments.has("delta")) folders = arguments.get<std::vector<std::string>>("delta");
  std::vector<fusion::Delta> deltas;
  bool maps = false;
  for (const std::filesystem::path folder : folders) {
    fusion::Delta delta = fusion::delta_model(load(folder));
    const auto tokenizer = tokenizer_of(folder, *delta.parts.front().model);
    if (!token_map::same_vocabulary(*pair.tokenizer, *tokenizer)) {
      delta.tokenizer = tokenizer;
      delta.map = std::make_shared<const token_map::TokenMap>(
          token_map::make_token_map(*pair.tokenizer, *tokenizer, choice.method, choice.compat));
      maps = true;
    }
    pair.delta_tokenizers.push_back(delta.tokenizer);
    deltas.push_back(std::move(delta));
  }
  if (pair.contrast) deltas.push_back(fusion::contrast_with(base.model));
  if (deltas.empty()) return deltas;
  const auto alphas = strengths_of(arguments, deltas.size());
  for (size_t d = 0; d < deltas.size(); ++d) pair.steering.terms.push_back({static_cast<int64_t>(d), alphas[d]});
  if (!maps) arguments.expect_not_given({"map", "top", "unmapped"}, "delta and target have one vocabulary");
  return deltas;
}

int blocks_of(const Arguments& arguments, const distributed::Session& session) {
  const int blocks = arguments.get<int>("pipeline-parallel"), ranks = session.world().size();
  if (blocks >= 1 && ranks % blocks == 0) return blocks;
  throw Usage({"--pipeline-parallel " + std::to_string(blocks),
               "does not divide the " + std::to_string(ranks) + " ranks", "give a number that does"});
}

}  // namespace

LoadedPair load_pair(const Arguments& arguments, const distributed::Session& session) {
  const bool contrasts = arguments.has("contrast");
  if (!arguments.get<bool>("tensor-parallel"))
    arguments.expect_not_given({"pipeline-parallel"}, "the target is not split over ranks");
  if (!arguments.has("delta") && !contrasts)
    arguments.expect_not_given({"alpha", "map", "top", "unmapped", "mode", "gate", "gate-threshold"},
                               "there is no --delta");
  const fusion::FusionSettings settings = fusion_settings(arguments);
  torch::set_num_threads(distributed::threads_of_this_rank(session));
  const Compute compute = compute_named(arguments.get("device"), arguments.get("dtype"), session.rank_on_node());
  const LoadModel load = [&](const std::filesystem::path& folder) {
    return std::make_shared<const model::DecoderModel>(
        model::DecoderModel::load(folder, compute.dtype, compute.device));
  };
  LoadedPair pair;
  if (contrasts) pair.contrast = contrast_prompt(arguments);
  const std::filesystem::path folder = arguments.get("model");
  fusion::Base base{nullptr, nullptr};
  if (arguments.get<bool>("tensor-parallel")) {
    const model::TensorGroup group(session.world(), compute.device, blocks_of(arguments, session));
    const auto part = model::DecoderModel::load(folder, compute.dtype, compute.device, group.tensor_rank());
    base.model = std::make_shared<const model::DecoderModel>(part.over(group));
  } else {
    base.model = load(folder);
  }
  pair.tokenizer = base.tokenizer = tokenizer_of(folder, *base.model);
  pair.end_tokens = base.model->config().end_tokens;
  if (pair.tokenizer->special().end >= 0) pair.end_tokens.push_back(pair.tokenizer->special().end);
  auto deltas = load_deltas(arguments, load, base, pair);
  pair.source = fusion::fused_source(std::move(base), std::move(deltas), settings);
  return pair;
}

}  // namespace cmc::stages
