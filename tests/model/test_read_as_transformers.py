"""Checkpoints in their older forms, and those whose files contradict each other, are read as transformers reads them."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from support_model import TINY, load_reference, make_tiny, random_tokens, reference_logits, relative, worst
from tiny_models import CONFIGS

LIMIT = 5e-5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            make_tiny(name, made[name])
        return made[name]

    return get


def changed(folder, to, config=None, tensors=None):
    """A copy whose config.json and tensors went through these functions."""
    shutil.copytree(folder, to)
    if config:
        held = json.loads((to / "config.json").read_text())
        config(held)
        (to / "config.json").write_text(json.dumps(held))
    if tensors:
        held = load_file(to / "model.safetensors")
        save_file(tensors(held), to / "model.safetensors", {"format": "pt"})
    return to


def same_logits(probe, folder, scratch, count=60):
    tokens = random_tokens(count, 1)
    ours, = probe.logits(folder, [{"spans": [[0, tokens]]}], scratch)
    theirs = reference_logits(load_reference(folder), tokens)
    assert theirs.abs().max() > 0.5
    assert relative(ours, theirs) < LIMIT
    return ours


def as_transformers_4(config):
    """rope_theta and rope_scaling in place of rope_parameters, no layer types, no value that is null."""
    ropes = config.pop("rope_parameters", None) or {}
    kind = ropes.pop("rope_type", "default")
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in ropes:
            config[key] = ropes.pop(key)
    if ropes and kind != "default":
        config["rope_scaling"] = {"type": kind, **ropes}
    elif "full_attention" in ropes:
        config["rope_theta"] = ropes["full_attention"]["rope_theta"]
        config["rope_local_base_freq"] = ropes["sliding_attention"]["rope_theta"]
    config.pop("layer_types", None)
    for key in [key for key, value in config.items() if value is None and key not in ("sliding_window", "q_lora_rank")]:
        del config[key]


# exaone4 without a window needs its layer types in transformers itself.
@pytest.mark.parametrize("name", [name for name in TINY if name != "exaone4_no_window"])
def test_older_configuration(name, tiny, probe, tmp_path):
    same_logits(probe, changed(tiny(name), tmp_path / "older", as_transformers_4), tmp_path)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt", "bloom", "falcon"])
def test_checkpoint_of_the_bare_model(name, tiny, probe, tmp_path):
    """Saved without its output layer, whose names leave out what the others begin with."""
    base = load_reference(tiny(name))
    if not base.config.tie_word_embeddings:
        base.config.tie_word_embeddings = True
        base.tie_weights()
    folder = tmp_path / "bare"
    base.save_pretrained(folder)
    base.base_model.save_pretrained(tmp_path / "model-only")
    shutil.copy(tmp_path / "model-only" / "model.safetensors", folder / "model.safetensors")
    assert not any(key.startswith(("model.layers", "transformer.h", "gpt_neox.layers")) for key in
                   load_file(folder / "model.safetensors"))
    same_logits(probe, folder, tmp_path)


def test_model_type_decides(tiny, probe, tmp_path):
    def contradict(config):
        config.update(architectures=["LlamaForCausalLM"], model_type="mistral", sliding_window=9)

    with_window = same_logits(probe, changed(tiny("llama"), tmp_path / "a", contradict), tmp_path)
    assert worst(with_window, same_logits(probe, tiny("llama"), tmp_path)) > 0.1


def test_another_output_is_kept_where_tied(tiny, probe, tmp_path):
    folder = changed(tiny("llama"), tmp_path / "a", lambda config: config.update(tie_word_embeddings=True))
    same_logits(probe, folder, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    probe.value("save", model=str(folder), folder=str(again))
    same_logits(probe, again, tmp_path)


def test_the_same_output_is_tied(tiny, probe, tmp_path):
    def with_output(tensors):
        return {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}

    folder = changed(tiny("llama_tied"), tmp_path / "a", tensors=with_output)
    same_logits(probe, folder, tmp_path)
    plain = probe.value("held", model=str(tiny("llama_tied")))["bytes"]
    assert probe.value("held", model=str(folder))["bytes"] == plain


@pytest.mark.parametrize("name", ["rope_yarn", "rope_llama3"])
def test_original_length_at_the_top(name, tiny, probe, tmp_path):
    def move(config):
        del config["rope_parameters"]["original_max_position_embeddings"]
        config["original_max_position_embeddings"] = 24

    moved = same_logits(probe, changed(tiny(name), tmp_path / "a", move), tmp_path)
    assert worst(moved, same_logits(probe, tiny(name), tmp_path)) > 0.01


def test_end_token_outside_the_vocabulary(tiny, probe, tmp_path):
    folder = changed(tiny("llama"), tmp_path / "a", lambda config: config.update(eos_token_id=[2, 9999]))
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 9999]}')
    same_logits(probe, folder, tmp_path)


def test_private_window_pattern_says_nothing(tiny, probe, tmp_path):
    def private(config):
        config.pop("layer_types")
        config["_sliding_window_pattern"] = 2

    same_logits(probe, changed(tiny("gemma3"), tmp_path / "a", private), tmp_path)


def test_tables_of_older_versions_are_left_out(tiny, probe, tmp_path):
    import torch

    def older(tensors):
        return {**tensors, **{f"transformer.h.{layer}.attn.{name}": torch.ones(1, 1, 4, 4).tril().contiguous()
                              for layer in range(3) for name in ("bias", "masked_bias")}}

    same_logits(probe, changed(tiny("gpt2"), tmp_path / "a", tensors=older), tmp_path)


@pytest.mark.parametrize("name, tensor", [("llama", "lm_head.weight"), ("phi", "lm_head.bias"),
                                          ("qwen2_moe", "model.layers.0.mlp.experts.3.up_proj.weight"),
                                          ("gpt_oss", "model.layers.1.self_attn.sinks"),
                                          ("bloom", "transformer.h.2.self_attention.query_key_value.bias"),
                                          ("deepseek_v3", "model.layers.1.mlp.gate.e_score_correction_bias")])
def test_a_tensor_that_is_missing_is_named(name, tensor, tiny, probe, tmp_path):
    def without(tensors):
        assert tensor in tensors
        return {key: value for key, value in tensors.items() if key != tensor}

    folder = changed(tiny(name), tmp_path / "a", tensors=without)
    answer = probe.ask("held", model=str(folder))
    assert answer["code"] == 65 and tensor in answer["error"], answer


@pytest.mark.parametrize("name, tensor", [("gpt2", "transformer.h.0.attn.c_attn.weight"),
                                          ("gpt_oss", "model.layers.0.mlp.experts.gate_up_proj"),
                                          ("falcon_groups", "transformer.h.1.self_attention.query_key_value.weight")])
def test_a_tensor_of_another_shape_is_named(name, tensor, tiny, probe, tmp_path):
    def cut(tensors):
        return {**tensors, tensor: tensors[tensor][..., 1:].contiguous()}

    answer = probe.ask("held", model=str(changed(tiny(name), tmp_path / "a", tensors=cut)))
    assert answer["code"] == 65 and tensor in answer["error"] and "shape" in answer["error"], answer


def test_a_text_beyond_learned_positions_is_refused(tiny, probe, tmp_path):
    answer = probe.ask("run", model=str(tiny("gpt2")), calls=[{"spans": [[0, random_tokens(97, 1)]]}],
                       out=str(tmp_path / "x"))
    assert answer["code"] == 65 and "96 positions" in answer["error"], answer


def test_text_part_of_a_multimodal_model(probe, tmp_path):
    """Gemma 3 from 4B up, as transformers 5 names its tensors and as published."""
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig

    text = CONFIGS["gemma3"][1]
    vision = SiglipVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(Gemma3Config(text_config=Gemma3TextConfig(**text), vision_config=vision, mm_tokens_per_image=4,
                                                        image_token_index=5, boi_token_index=6, eoi_token_index=7)).eval()
    model.save_pretrained(tmp_path / "new")
    ours = same_logits(probe, tmp_path / "new", tmp_path)
    published = {name.replace("model.language_model.", "language_model.model.").replace("model.vision_tower", "vision_tower")
                 .replace("model.multi_modal_projector", "multi_modal_projector"): tensor for name, tensor in load_file(tmp_path / "new/model.safetensors").items()}
    old = changed(tmp_path / "new", tmp_path / "old", tensors=lambda _: published)
    assert torch.equal(same_logits(probe, old, tmp_path), ours)


def test_what_makes_no_decoder_is_refused(tiny, probe, tmp_path):
    for field, value in [("is_causal", False), ("transformers_weights", "other.safetensors")]:
        folder = changed(tiny("llama"), tmp_path / field, lambda config: config.update({field: value}))
        answer = probe.ask("held", model=str(folder))
        assert answer["code"] == 65 and field in answer["error"], answer
    folder = changed(tiny("llama"), tmp_path / "adapter")
    (folder / "adapter_config.json").write_text("{}")
    answer = probe.ask("held", model=str(folder))
    assert answer["code"] == 77 and "adapter_config.json" in answer["error"], answer


@pytest.mark.parametrize("name, field", [("starcoder2", "layer_norm_epsilon"), ("gpt2", "rms_norm_eps"), ("phi", "rms_norm_eps"), ("falcon", "norm_eps"),
                                         ("nemotron", "layer_norm_eps"), ("cohere", "norm_epsilon"), ("llama", "n_inner"), ("llama", "layer_norm_eps")])
def test_another_familys_field_says_nothing(name, field, tiny, probe, tmp_path):
    value = 40 if field == "n_inner" else 0.5
    same_logits(probe, changed(tiny(name), tmp_path / "stray", lambda config: config.update({field: value})), tmp_path)


@pytest.mark.parametrize("name, field", [("deepseek_v3", "norm_topk_prob"), ("deepseek_v3", "rope_interleave")])
def test_null_is_false(name, field, tiny, probe, tmp_path):
    same_logits(probe, changed(tiny(name), tmp_path / "null", lambda config: config.update({field: None})), tmp_path)


def test_of_two_tied_matrices_one_is_enough(tiny, probe, tmp_path):
    rename = {"model.embed_tokens.weight": "lm_head.weight"}
    folder = changed(tiny("llama_tied"), tmp_path / "head", tensors=lambda held: {rename.get(name, name): tensor for name, tensor in held.items()})
    same_logits(probe, folder, tmp_path)


def test_tensors_beside_the_models_own_are_left_aside(tiny, probe, tmp_path):
    def with_value_head(held):
        return {**held, "v_head.summary.weight": held["model.norm.weight"][None].clone(), "model.layers.3.mlp.up_proj.weight": held["model.norm.weight"].clone()}

    same_logits(probe, changed(tiny("llama"), tmp_path / "more", tensors=with_value_head), tmp_path)


def test_pattern_in_a_word_beside_layer_types(tiny, probe, tmp_path):
    same_logits(probe, changed(tiny("exaone4"), tmp_path / "word", lambda config: config.update({"sliding_window_pattern": "LLLG"})), tmp_path)


def test_no_list_of_architectures(tiny, probe, tmp_path):
    same_logits(probe, changed(tiny("llama"), tmp_path / "none", lambda config: config.update({"architectures": []})), tmp_path)
