// Rope settings as transformers' modeling_rope_utils.py reads them.
#include <cmath>

#include "pipeline/checkpoint/config_fields.hpp"

namespace cmc::checkpoint {

namespace {

// Attention factor of YaRN (Peng et al. 2023, eq. 22), with DeepSeek's mscale pair where both are given.
double yarn_attention_factor(const ConfigFields& rope, double factor) {
  const auto magnitude = [](double scale, double mscale) {
    return scale <= 1.0 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
  };
  const double mscale = rope.number_or("mscale", 0.0, 0.0, 1e6);
  const double mscale_all = rope.number_or("mscale_all_dim", 0.0, 0.0, 1e6);
  const double suggested = mscale != 0.0 && mscale_all != 0.0
                               ? magnitude(factor, mscale) / magnitude(factor, mscale_all)
                               : magnitude(factor, 1.0);
  return rope.number_or("attention_factor", suggested, 0.0, 1e6);
}

RopeScaling::Kind read_kind(const ConfigFields& rope) {
  const std::string key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string name = rope.text_or(key, "default");
  if (name == "default") return RopeScaling::Kind::none;
  if (name == "linear") return RopeScaling::Kind::linear;
  if (name == "llama3") return RopeScaling::Kind::llama3;
  if (name == "dynamic") return RopeScaling::Kind::dynamic_ntk;
  if (name == "yarn") return RopeScaling::Kind::yarn;
  if (name == "longrope" || name == "su") return RopeScaling::Kind::longrope;
  rope.fail(key, "names an unknown rope scaling (" + name + ")",
            "known: default, linear, llama3, dynamic, yarn, longrope");
}

// One factor for each pair of numbers that turn together.
std::vector<double> read_factors(const ConfigFields& rope, const std::string& key, int64_t count) {
  if (!rope.has(key)) rope.fail(key, "is missing", "");
  const Json& list = rope.json().at(key);
  bool fits = list.is_array() && static_cast<int64_t>(list.size()) == count;
  std::vector<double> factors;
  for (const Json& factor : fits ? list : Json::array()) {
    fits = fits && factor.is_number() && factor.get<double>() > 0;
    if (fits) factors.push_back(factor.get<double>());
  }
  if (!fits) rope.fail(key, "is no list of positive factors", "expected " + std::to_string(count) + " of them");
  return factors;
}

void read_llama3(const ConfigFields& rope, RopeScaling& scaling) {
  scaling.low_frequency_factor = rope.number_or("low_freq_factor", 1.0, 1e-3, 1e6);
  scaling.high_frequency_factor = rope.number_or("high_freq_factor", 4.0, 1e-3, 1e6);
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor) {
    rope.fail("high_freq_factor", "must be greater than low_freq_factor", "");
  }
}

void read_yarn(const ConfigFields& rope, RopeScaling& scaling) {
  scaling.beta_fast = rope.number_or("beta_fast", 32.0, 1e-3, 1e6);
  scaling.beta_slow = rope.number_or("beta_slow", 1.0, 1e-3, 1e6);
  scaling.truncate = rope.flag_or("truncate", true);
  scaling.attention_factor = yarn_attention_factor(rope, scaling.factor);
}

void read_longrope(const ConfigFields& rope, int64_t rotary, RopeScaling& scaling) {
  scaling.short_factors = read_factors(rope, "short_factor", rotary / 2);
  scaling.long_factors = read_factors(rope, "long_factor", rotary / 2);
  const double suggested =
      scaling.factor <= 1.0
          ? 1.0
          : std::sqrt(1.0 + std::log(scaling.factor) / std::log(static_cast<double>(scaling.original_positions)));
  scaling.attention_factor = rope.number_or("attention_factor", suggested, 0.0, 1e6);
}

// What lies outside the rope object and is read with it.
struct Around {
  double theta;
  int64_t max_positions;
  int64_t original_positions;  // original_max_position_embeddings beside the object, which wins; 0: not there
  int64_t head_dim;
  double part;
  bool reads_part;
};

RopeScaling read_scaling(const ConfigFields& rope, const Around& around, int64_t rotary) {
  using Kind = RopeScaling::Kind;
  RopeScaling scaling;
  scaling.kind = read_kind(rope);
  if (scaling.kind == Kind::none) return scaling;
  scaling.original_positions = around.max_positions;
  const bool has_original =
      scaling.kind == Kind::llama3 || scaling.kind == Kind::yarn || scaling.kind == Kind::longrope;
  if (has_original) {
    scaling.original_positions =
        around.original_positions > 0
            ? around.original_positions
            : rope.integer_or("original_max_position_embeddings", around.max_positions, 1, int64_t{1} << 32);
  }
  const double ratio = static_cast<double>(around.max_positions) / static_cast<double>(scaling.original_positions);
  const bool by_ratio = scaling.kind == Kind::yarn || scaling.kind == Kind::longrope;
  if (!by_ratio && !rope.has("factor")) rope.fail("factor", "is missing", "");
  scaling.factor = rope.number_or("factor", ratio, 1e-3, 1e6);
  if (scaling.kind == Kind::llama3) read_llama3(rope, scaling);
  if (scaling.kind == Kind::yarn) read_yarn(rope, scaling);
  if (scaling.kind == Kind::longrope) read_longrope(rope, rotary, scaling);
  return scaling;
}

int64_t read_rotary(const ConfigFields& rope, const Around& around) {
  const double part = rope.number_or("partial_rotary_factor", around.part, 0.0, 1.0);
  if (part != 1.0 && !around.reads_part)
    rope.fail("partial_rotary_factor", "turns a part of each head only, which this family does not", "");
  const auto count = static_cast<int64_t>(static_cast<double>(around.head_dim) * part);
  if (count % 2 != 0) {
    rope.fail("partial_rotary_factor", "turns an odd part of each head (" + std::to_string(count) + " numbers)", "");
  }
  return count;
}

Rope read_rope_object(const ConfigFields& rope, const Around& around, ModelConfig& config) {
  config.rotary.count = read_rotary(rope, around);
  Rope result;
  result.theta = rope.number_or("rope_theta", around.theta, 1.0 + 1e-6, 1e15);
  result.scaling = read_scaling(rope, around, config.rotary.count);
  return result;
}

bool is_by_layer_type(const ConfigFields& fields) {
  if (!fields.has("rope_parameters") || !fields.json().at("rope_parameters").is_object()) return false;
  const Json& ropes = fields.json().at("rope_parameters");
  return ropes.contains("full_attention") || ropes.contains("sliding_attention");
}

bool is_filled(const ConfigFields& fields, const char* key) {
  return fields.has(key) && !fields.json().at(key).empty();
}

}  // namespace

void read_rope(const ConfigFields& fields, ModelConfig& config, const RopeDefaults& defaults) {
  const int64_t original = fields.integer_or("original_max_position_embeddings", 0, 0, int64_t{1} << 32);
  Around around{fields.number_or("rope_theta", defaults.theta, 1.0 + 1e-6, 1e15),
                config.max_positions,
                original,
                config.head_dim,
                fields.number_or("partial_rotary_factor", defaults.part, 0.0, 1.0),
                defaults.reads_part};
  const bool has_local = defaults.local_theta > 0;
  const auto scaling = [&] { return fields.object("rope_scaling"); };
  if (!has_local && !is_by_layer_type(fields)) {
    const Json nothing = Json::object();
    config.rope = is_filled(fields, "rope_scaling") ? read_rope_object(scaling(), around, config)
                  : is_filled(fields, "rope_parameters")
                      ? read_rope_object(fields.object("rope_parameters"), around, config)
                      : read_rope_object({nothing, fields.where()}, around, config);
    config.local_rope = config.rope;
    return;
  }
  Around local = around;
  local.theta =
      fields.number_or("rope_local_base_freq", has_local ? defaults.local_theta : around.theta, 1.0 + 1e-6, 1e15);
  around.original_positions = local.original_positions = 0;
  config.rope.theta = around.theta;
  config.local_rope.theta = local.theta;
  config.rotary.count = read_rotary(fields, around);
  if (is_filled(fields, "rope_parameters")) {
    const ConfigFields ropes = fields.object("rope_parameters");
    if (ropes.has("full_attention")) config.rope = read_rope_object(ropes.object("full_attention"), around, config);
    if (ropes.has("sliding_attention"))
      config.local_rope = read_rope_object(ropes.object("sliding_attention"), local, config);
  }
  around.theta = config.rope.theta;
  if (is_filled(fields, "rope_scaling")) config.rope = read_rope_object(scaling(), around, config);
}

}  // namespace cmc::checkpoint
