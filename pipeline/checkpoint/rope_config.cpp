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
  rope.fail(key, "names an unknown rope scaling (" + name + ")", "known: default, linear, llama3, dynamic, yarn");
}

RopeScaling read_scaling(const ConfigFields& rope, int64_t max_positions) {
  RopeScaling scaling;
  scaling.kind = read_kind(rope);
  if (scaling.kind == RopeScaling::Kind::none) return scaling;
  scaling.original_positions = max_positions;
  if (scaling.kind == RopeScaling::Kind::llama3 || scaling.kind == RopeScaling::Kind::yarn) {
    scaling.original_positions =
        rope.integer_or("original_max_position_embeddings", max_positions, 1, int64_t{1} << 32);
  }
  const double ratio = static_cast<double>(max_positions) / static_cast<double>(scaling.original_positions);
  if (scaling.kind != RopeScaling::Kind::yarn && !rope.has("factor")) rope.fail("factor", "is missing", "");
  scaling.factor = rope.number_or("factor", ratio, 1e-3, 1e6);
  if (scaling.kind == RopeScaling::Kind::llama3) {
    scaling.low_frequency_factor = rope.number_or("low_freq_factor", 1.0, 1e-3, 1e6);
    scaling.high_frequency_factor = rope.number_or("high_freq_factor", 4.0, 1e-3, 1e6);
    if (scaling.high_frequency_factor <= scaling.low_frequency_factor) {
      rope.fail("high_freq_factor", "must be greater than low_freq_factor", "");
    }
  }
  if (scaling.kind == RopeScaling::Kind::yarn) {
    scaling.beta_fast = rope.number_or("beta_fast", 32.0, 1e-3, 1e6);
    scaling.beta_slow = rope.number_or("beta_slow", 1.0, 1e-3, 1e6);
    scaling.truncate = rope.flag_or("truncate", true);
    scaling.attention_factor = yarn_attention_factor(rope, scaling.factor);
  }
  return scaling;
}

}  // namespace

Rope read_rope_object(const ConfigFields& rope, double default_theta, int64_t max_positions) {
  if (rope.number_or("partial_rotary_factor", 1.0, 0.0, 1.0) != 1.0) {
    rope.fail("partial_rotary_factor", "rotates a part of each head only, which is not supported", "");
  }
  Rope result;
  result.theta = rope.number_or("rope_theta", default_theta, 1.0 + 1e-6, 1e15);
  result.scaling = read_scaling(rope, max_positions);
  return result;
}

Rope read_rope(const ConfigFields& fields, double default_theta, int64_t max_positions) {
  const double theta = fields.number_or("rope_theta", default_theta, 1.0 + 1e-6, 1e15);
  if (fields.has("rope_scaling")) return read_rope_object(fields.object("rope_scaling"), theta, max_positions);
  if (fields.has("rope_parameters")) return read_rope_object(fields.object("rope_parameters"), theta, max_positions);
  Rope rope;
  rope.theta = theta;
  return rope;
}

}  // namespace cmc::checkpoint
