"""config.json: the numbers transformers itself derives, in its present and its older forms; wrong ones are refused."""

import json
import math

import pytest

LLAMA = {"architectures": ["LlamaForCausalLM"], "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
         "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
         "bos_token_id": 1, "eos_token_id": 2}
GEMMA = {**LLAMA, "architectures": ["Gemma3ForCausalLM"], "head_dim": 32, "num_hidden_layers": 13, "sliding_window": 16,
         "query_pre_attn_scalar": 24}
MISTRAL = {**LLAMA, "architectures": ["MistralForCausalLM"]}
KINDS = {"default": 0, "linear": 1, "llama3": 2, "dynamic": 3, "yarn": 4, "longrope": 5}


def parsed_by_transformers(config):
    from transformers import Gemma3TextConfig, LlamaConfig, MistralConfig

    kind = {"LlamaForCausalLM": LlamaConfig, "MistralForCausalLM": MistralConfig, "Gemma3ForCausalLM": Gemma3TextConfig}
    return kind[config["architectures"][0]].from_dict(json.loads(json.dumps(config)))


def same_rope(ours, theirs):
    assert ours["theta"] == theirs["rope_theta"] and ours["kind"] == KINDS[theirs["rope_type"]]
    if theirs["rope_type"] != "default":
        assert ours["factor"] == theirs["factor"]
    if theirs["rope_type"] in ("llama3", "yarn"):
        assert ours["original"] == theirs["original_max_position_embeddings"]


@pytest.mark.parametrize("config", [
    LLAMA,
    {**LLAMA, "head_dim": 24, "tie_word_embeddings": True, "eos_token_id": [2, 7]},
    {**LLAMA, "num_key_value_heads": None},
    {**LLAMA, "rope_theta": 5e5},
    {**LLAMA, "rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}},
    {**LLAMA, "rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                                  "high_freq_factor": 4.0, "original_max_position_embeddings": 32}},
    {**LLAMA, "rope_scaling": {"rope_type": "dynamic", "factor": 4.0}},
    {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
    MISTRAL, {**MISTRAL, "sliding_window": None}, {**MISTRAL, "sliding_window": 50},
    GEMMA,
    {**GEMMA, "sliding_window_pattern": 3},
    {**GEMMA, "rope_theta": 2e6, "rope_local_base_freq": 5e3, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
    {**GEMMA, "layer_types": ["full_attention", "sliding_attention"] * 6 + ["full_attention"],
     "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 3e6},
                         "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}},
])
def test_as_transformers_reads_it(config, probe):
    ours, theirs = probe.value("parse", config=config), parsed_by_transformers(config)
    for mine, name in (("vocabulary", "vocab_size"), ("hidden", "hidden_size"), ("intermediate", "intermediate_size"),
                       ("layers", "num_hidden_layers"), ("heads", "num_attention_heads"), ("head_dim", "head_dim"),
                       ("kv_heads", "num_key_value_heads"), ("max_positions", "max_position_embeddings"),
                       ("tied", "tie_word_embeddings"), ("begin", "bos_token_id")):
        assert ours[mine] == getattr(theirs, name), mine
    ends = theirs.eos_token_id
    assert ours["ends"] == (ends if isinstance(ends, list) else [ends])
    if config["architectures"] == GEMMA["architectures"]:
        assert ours["sliding"] == [kind == "sliding_attention" for kind in theirs.layer_types]
        assert ours["window"] == theirs.sliding_window
        assert math.isclose(ours["attention_scale"], theirs.query_pre_attn_scalar**-0.5)
        same_rope(ours["rope"], theirs.rope_parameters["full_attention"])
        same_rope(ours["local_rope"], theirs.rope_parameters["sliding_attention"])
    else:
        window = getattr(theirs, "sliding_window", None)
        assert ours["window"] == (window or 0) and ours["sliding"] == [bool(window)] * 4
        same_rope(ours["rope"], theirs.rope_parameters)


@pytest.mark.parametrize("changes, field", [
    ({"vocab_size": 0}, "vocab_size"), ({"vocab_size": "100"}, "vocab_size"), ({"hidden_size": 1.5}, "hidden_size"),
    ({"hidden_size": None}, "hidden_size"), ({"num_hidden_layers": -1}, "num_hidden_layers"),
    ({"num_hidden_layers": 10**12}, "num_hidden_layers"), ({"vocab_size": 2**64 - 1}, "vocab_size"),
    ({"num_key_value_heads": 3}, "num_key_value_heads"), ({"num_key_value_heads": 8}, "num_key_value_heads"),
    ({"head_dim": 7}, "head_dim"), ({"rms_norm_eps": -1}, "rms_norm_eps"), ({"rms_norm_eps": "x"}, "rms_norm_eps"),
    ({"hidden_act": "relu6"}, "hidden_act"), ({"eos_token_id": "a"}, "eos_token_id"),
    ({"bos_token_id": [1.5]}, "bos_token_id"), ({"rope_theta": 0}, "rope_theta"), ({"rope_theta": -3}, "rope_theta"),
    ({"rope_scaling": {"rope_type": "other"}}, "rope_type"), ({"rope_scaling": {"rope_type": "longrope"}}, "short_factor"), ({"rope_scaling": 3}, "rope_scaling"),
    ({"rope_scaling": {"rope_type": "linear"}}, "factor"), ({"rope_scaling": {"type": "linear", "factor": 0}}, "factor"),
    ({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}}, "high_freq_factor"),
    ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"), ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ({"architectures": []}, "architectures"), ({"architectures": [3]}, "architectures"),
])
def test_wrong_field_is_named(changes, field, probe):
    probe.refused("parse", 65, "config.json", field, config={**LLAMA, **changes})


@pytest.mark.parametrize("changes, field", [
    ({"layer_types": ["full_attention"]}, "layer_types"), ({"layer_types": ["other"] * 13}, "layer_types"),
    ({"sliding_window": 0}, "sliding_window"), ({"sliding_window_pattern": 0}, "sliding_window_pattern"),
    ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
])
def test_wrong_gemma_field_is_named(changes, field, probe):
    probe.refused("parse", 65, field, config={**GEMMA, **changes})


@pytest.mark.parametrize("field", ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"])
def test_missing_field_is_named(field, probe):
    probe.refused("parse", 65, field, "missing", config={key: value for key, value in LLAMA.items() if key != field})


def test_unknown_architecture_names_the_known(probe):
    for config in ({**LLAMA, "architectures": ["BertModel"]}, {"model_type": "bert"}, {}):
        probe.refused("parse", 65, "llama", "mistral", "gemma3_text", "deepseek_v3", config=config)


def test_model_type_stands_in(probe):
    config = {key: value for key, value in LLAMA.items() if key != "architectures"}
    assert probe.value("parse", config={**config, "model_type": "llama"})["architecture"] == "LlamaForCausalLM"


def test_folder(probe, tmp_path):
    probe.refused("config", 66, "config.json", folder=str(tmp_path))
    (tmp_path / "config.json").write_text('{"vocab_size": ')
    probe.refused("config", 65, "config.json", folder=str(tmp_path))
    (tmp_path / "config.json").write_text("[]")
    probe.refused("config", 65, "config.json", folder=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert probe.value("config", folder=str(tmp_path))["ends"] == [2]
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 2]}')
    assert probe.value("config", folder=str(tmp_path))["ends"] == [5, 2]
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": "x"}')
    probe.refused("config", 65, "generation_config.json", "eos_token_id", folder=str(tmp_path))
