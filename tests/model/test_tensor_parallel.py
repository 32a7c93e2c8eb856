"""A model split over ranks gives the logits of one rank and of transformers, and each rank holds its part only."""

import json

import pytest
import torch
from safetensors.torch import load_file

from distributed import mpi
from support_model import SMALL, make_tiny, random_tokens, reference_logits, relative, tiny_config, worst

LIMIT = 5e-5  # of the largest logit, in float32
HEADS = {"num_attention_heads": 8}  # 2 key/value heads: 4 ranks hold each of them twice


def tiny_models():
    from transformers import Gemma3TextConfig, LlamaConfig, MistralConfig

    gemma = {**SMALL, **HEADS, "num_hidden_layers": 4, "sliding_window": 7, "query_pre_attn_scalar": 24, "pad_token_id": 0,
             "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]}
    return {"llama": LlamaConfig(**{**SMALL, **HEADS}),
            "llama_bias_odd": LlamaConfig(**{**SMALL, **HEADS, "attention_bias": True, "mlp_bias": True, "vocab_size": 157,
                                             "intermediate_size": 75, "head_dim": 10}),
            "llama_uneven": LlamaConfig(**{**SMALL, "num_attention_heads": 12, "num_key_value_heads": 3}),
            "mistral": MistralConfig(**{**SMALL, **HEADS}, sliding_window=9),
            "gemma3": Gemma3TextConfig(**gemma), **other_families()}


def other_families():
    """Parallel blocks, joined heads, norms over all heads or one each, biases of scores, experts, sinks, latent
    attention: what a rank holds of each."""
    wide = {"hidden_size": 64, "num_attention_heads": 8}
    few = {"num_key_value_heads": 2}
    return {"phi": tiny_config("phi", **wide, **few), "gpt2": tiny_config("gpt2", n_embd=64, n_head=8),
            "gpt_neox": tiny_config("gpt_neox", **wide), "falcon_groups": tiny_config("falcon_groups", **wide),
            "olmo2": tiny_config("olmo2", **wide), "stablelm_norms": tiny_config("stablelm_norms", **wide),
            "bloom": tiny_config("bloom", hidden_size=64, n_head=8), "glm4": tiny_config("glm4", **HEADS),
            "qwen2_moe": tiny_config("qwen2_moe", **wide), "gpt_oss": tiny_config("gpt_oss", **HEADS),
            "opt_350m": tiny_config("opt_350m", **wide),
            "deepseek_v3": tiny_config("deepseek_v3", num_attention_heads=8, num_key_value_heads=8)}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = {}
    for name, config in tiny_models().items():
        folder = tmp_path_factory.mktemp(name)
        made[name] = folder, make_tiny(config, folder)
    return made


def ask(ranks, requests, scratch):
    """The answers of each rank, by rank."""
    file = scratch / "requests.jsonl"
    file.write_text("".join(json.dumps(request) + "\n" for request in requests))
    lines = mpi.run(ranks, mpi.program("probe_model"), str(file))
    return [lines[i:i + len(requests)] for i in range(0, len(lines), len(requests))]


def calls_of(tokens):
    """A full pass and, over a cache, a prompt, single tokens, and two sequences together."""
    full = [{"spans": [[0, tokens]]}]
    cached = [{"spans": [[1, tokens[:21]]]}] + [{"spans": [[1, [token]]]} for token in tokens[21:30]]
    cached.append({"spans": [[0, tokens[:18]], [1, tokens[30:]]]})
    return full, cached


# Blocks of ranks hold the layers one after the other.
@pytest.mark.parametrize("ranks,blocks", [(2, 1), (4, 1), (2, 2), (3, 3), (4, 2)])
def test_logits_and_greedy_text(models, ranks, blocks, tmp_path):
    tokens, prompts = random_tokens(40, 1), [random_tokens(9, 2), random_tokens(14, 3), random_tokens(3, 4)]
    full, cached = calls_of(tokens)
    requests = []
    for split in [False, True]:
        for name, (folder, _) in models.items():
            common = {"model": str(folder), "split": split, "blocks": blocks}
            out = str(tmp_path / f"{name}.{'split' if split else 'whole'}")
            requests.append({"op": "run", "calls": full, "out": out + ".full", **common})
            requests.append({"op": "run", "calls": cached, "out": out + ".cached", "slots": 2, "capacity": 64, **common})
            requests.append({"op": "greedy", "prompts": prompts, "new": 12, "batch": 2, **common})
    answers = ask(ranks, requests, tmp_path)
    assert len(answers) == ranks
    for answer in answers:
        assert not [line for line in answer if "error" in line]
    for number, (name, (_, model)) in enumerate(models.items()):
        whole = answers[0][3 * number + 2]["ids"]
        for answer in answers:
            assert answer[3 * (len(models) + number) + 2]["ids"] == whole, name
        theirs = reference_logits(model, tokens)
        assert theirs.abs().max() > 0.5
        for kind in ["full", "cached"]:
            alone = load_file(tmp_path / f"{name}.whole.{kind}.0")
            parts = [load_file(tmp_path / f"{name}.split.{kind}.{rank}") for rank in range(ranks)]
            for call, logits in alone.items():
                assert relative(parts[0][call], logits) < LIMIT, (name, kind, call)
                for part in parts[1:]:
                    assert torch.equal(part[call], parts[0][call]), "every rank has the same bits"
            if kind == "full":
                assert relative(parts[0]["0"], theirs) < LIMIT, name
            else:
                own = torch.cat([parts[0][str(call)] for call in range(10)] + [parts[0]["10"][18:]])
                assert relative(own, theirs) < LIMIT, name


@pytest.mark.parametrize("ranks", [2, 4])
def test_each_rank_holds_its_part(models, ranks, tmp_path):
    folder, model = models["llama"]
    answers = ask(ranks, [{"op": "held", "model": str(folder), "split": split} for split in [False, True]], tmp_path)
    whole = sum(parameter.numel() for parameter in model.parameters()) * 4
    # Norms are held by all; of four ranks two hold a key/value head each.
    kv = 2 * 3 * 48 * 2 * 16 * 4
    for answer in answers:
        assert answer[0]["bytes"] == whole
        assert whole / ranks <= answer[1]["bytes"] <= (whole + (kv if ranks == 4 else 0)) / ranks + 7 * 48 * 4


def test_adapters_are_split_with_their_model(models, probe, tmp_path):
    """A peft folder merged into the parts gives the logits of the merged whole."""
    folder, _ = models["llama"]
    settings = {"rank": 4, "alpha": 16, "dropout": 0, "seed": 1, "targets": ["q_proj", "k_proj", "o_proj", "down_proj", "up_proj"]}
    adapters = tmp_path / "adapters"
    adapters.mkdir()
    probe.value("save", model=str(folder), adapters=settings, folder=str(adapters))
    from safetensors.torch import save_file

    tensors = load_file(adapters / "adapter_model.safetensors")
    torch.manual_seed(1)
    save_file({name: torch.randn_like(tensor) * 0.1 for name, tensor in tensors.items()}, adapters / "adapter_model.safetensors")
    calls = [{"spans": [[0, random_tokens(30, 5)]]}]
    common = {"op": "run", "model": str(folder), "calls": calls}
    requests = [{**common, "out": str(tmp_path / "plain")},
                {**common, "out": str(tmp_path / "whole"), "adapters": str(adapters), "merge": True},
                {**common, "out": str(tmp_path / "split"), "adapters": str(adapters), "split": True, "merge": True}]
    for answer in ask(2, requests, tmp_path):
        assert not [line for line in answer if "error" in line], answer
    plain, whole, split = (load_file(tmp_path / f"{name}.0")["0"] for name in ["plain", "whole", "split"])
    assert worst(plain, whole) > 0.1
    assert relative(split, whole) < LIMIT


@pytest.mark.parametrize("ranks", [2, 4])
def test_rounded_parts_are_those_of_the_rounded_whole(models, ranks, tmp_path):
    """A row's scale is that of all its columns, whichever rank holds them."""
    calls = [{"spans": [[0, random_tokens(30, 6)]]}]
    requests, kinds = [], {"plain": {}, "whole": {"bits": 4}, "split": {"bits": 4, "split": True}}
    for name, (folder, _) in models.items():
        for kind, how in kinds.items():
            requests.append({"op": "run", "model": str(folder), "calls": calls, "out": str(tmp_path / f"{name}.{kind}"), **how})
    for answer in ask(ranks, requests, tmp_path):
        assert not [line for line in answer if "error" in line], answer
    for name in models:
        plain, whole = (load_file(tmp_path / f"{name}.{kind}.0")["0"] for kind in ["plain", "whole"])
        parts = [load_file(tmp_path / f"{name}.split.{rank}")["0"] for rank in range(ranks)]
        assert worst(plain, whole) > 100 * worst(parts[0], whole), name
        assert relative(parts[0], whole) < LIMIT, name
        assert all(torch.equal(part, parts[0]) for part in parts[1:])


def test_heads_that_cannot_be_dealt_are_refused(models, tmp_path):
    folder, _ = models["llama"]
    for answer in ask(3, [{"op": "held", "model": str(folder), "split": True}], tmp_path):
        assert answer[0]["code"] == 77
        assert "8 attention heads" in answer[0]["error"] and "1, 2, 4, 8" in answer[0]["error"]
