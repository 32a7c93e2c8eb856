"""Training of a model that ranks hold together, and beside one, against the same on one rank."""
import pathlib
import sys

import pytest
import torch
from safetensors.torch import load_file

from reference import make_examples, make_model, make_refusals, run_probe

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "model"))

from support_model import make_tiny, tiny_config  # noqa: E402

LIMIT = 1e-5  # float32
SETTINGS = {"objective": "cross_entropy", "batch": 3, "accumulation": 2, "epochs": 4, "max_steps": 20,
            "learning_rate": 1e-3, "schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.05,
            "max_gradient_norm": 1.0, "seed": 11}
HEADS = {"num_attention_heads": 8, "hidden_size": 64}  # of 4 ranks two hold each of 2 key/value heads
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Grouped heads; norms of heads, soft caps and windows; joined projections with biases and stored transposed; biases of
# queries and a parallel block; norms over all heads; experts, shared ones too; scores that sink; latent attention.
FAMILIES = {"llama": ({**HEADS, "num_key_value_heads": 2}, LLAMA),
            "llama_uneven": ({"num_attention_heads": 12, "num_key_value_heads": 3, "vocab_size": 157,
                              "intermediate_size": 75, "attention_bias": True, "mlp_bias": True}, LLAMA),
            "gemma3": (HEADS, LLAMA), "gemma2": (HEADS, LLAMA),
            "gpt2": ({"n_embd": 64, "n_head": 8}, ["c_attn", "c_proj", "c_fc"]),
            "phi": ({**HEADS, "num_key_value_heads": 2}, ["q_proj", "dense", "fc1", "fc2"]),
            "olmo2": (HEADS, LLAMA),
            "qwen2_moe": (HEADS, LLAMA[:4] + ["gate_proj", "down_proj"]),
            "gpt_oss": (HEADS, LLAMA[:4]),
            "deepseek_v3": ({"num_attention_heads": 8, "num_key_value_heads": 8}, ["q_a_proj", "q_b_proj", "kv_b_proj", "o_proj"])}


# They move all scores of a query alike: their gradient is rounding alone, of which Adam makes whole steps.
KEY_BIASES = ("k_proj.bias", "c_attn.bias")
# Grouped heads, norms of heads, biases, experts: these on two ranks as well.
ON_TWO = ("llama", "gemma3", "llama_uneven", "qwen2_moe")


def counts(name):
    return [2, 4] if name in ON_TWO else [4]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = {}
    for name, (changed, _) in FAMILIES.items():
        folder = tmp_path_factory.mktemp(name)
        make_tiny(tiny_config(name.removesuffix("_uneven"), **changed, initializer_range=0.1), folder)
        (folder / "tokenizer.json").write_text("{}")
        made[name] = str(folder)
    return made


def request(trained, objective="cross_entropy", **more):
    examples = make_examples(5, 31, 150)
    settings = {**SETTINGS, "objective": objective, **more.pop("settings", {})}
    return {"command": "train", "trained": trained, "examples": examples, "retain": make_examples(6, 17, 150),
            "refusals": make_refusals(7, examples, 2, 150), "settings": settings, "tokenizer": trained, **more}


def adapters(name, dropout=0.0):
    return {"rank": 4, "alpha": 8.0, "dropout": dropout, "targets": FAMILIES[name][1], "seed": 3}


def worst(ours, truth):
    """The largest difference of two folders' tensors, whose numbers are below 1."""
    assert set(ours) == set(truth) and truth
    return max((ours[name] - truth[name]).abs().max().item() for name in truth)


def on_ranks(folder, asked, ranks):
    """The answer, and what is published."""
    folder.mkdir()
    ranks, blocks = ranks if isinstance(ranks, tuple) else (ranks, 1)
    split = {"split": True, "tensor_parallel": True, "blocks": blocks} if ranks else {}
    answer = run_probe(folder, {**asked, **split, "output": str(folder / "out")}, ranks=ranks)
    return answer, load_file(next((folder / "out").glob("*.safetensors")))


def compare(answer, truth):
    assert len(answer["reports"]) == len(truth["reports"]) > 0
    for mine, theirs in zip(answer["reports"], truth["reports"]):
        for number in ["loss", "examples_loss", "retain_loss", "refusals_loss"]:
            assert mine[number] == pytest.approx(theirs[number], rel=LIMIT, abs=LIMIT), (number, mine["step"])
        assert mine["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=20 * LIMIT), mine["step"]
        assert mine["labels"] == theirs["labels"] and mine["tokens"] == theirs["tokens"]


@pytest.mark.parametrize("name", FAMILIES)
def test_adapters_of_every_family(models, name, tmp_path):
    asked = request(models[name], adapters=adapters(name))
    truth, whole = on_ranks(tmp_path / "whole", asked, None)
    for ranks in counts(name):
        answer, split = on_ranks(tmp_path / f"ranks{ranks}", asked, ranks)
        compare(answer, truth)
        assert worst(split, whole) < LIMIT, ranks


@pytest.mark.parametrize("name,ranks", [(name, ranks) for name in FAMILIES for ranks in counts(name)])
def test_first_gradients(models, name, ranks, tmp_path):
    """Of adapters, and of all weights: each stored tensor's gradient, of the largest number in it."""
    for more in [{"adapters": adapters(name)}, {}]:
        asked = {**request(models[name], **more), "command": "gradient"}
        truth = run_probe(tmp_path, asked)
        answer = run_probe(tmp_path, {**asked, "split": True, "tensor_parallel": True}, ranks=ranks)
        assert answer["loss"] == pytest.approx(truth["loss"], rel=LIMIT)
        assert answer["norm"] == pytest.approx(truth["norm"], rel=LIMIT)
        assert set(answer["gradients"]) == set(truth["gradients"])
        for tensor, gradient in truth["gradients"].items():
            ours, theirs = torch.tensor(answer["gradients"][tensor]), torch.tensor(gradient)
            assert (ours - theirs).abs().max() <= 2 * LIMIT * theirs.abs().max(), tensor


@pytest.mark.parametrize("kind", ["adapters", "all"])
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "qwen2_moe", "deepseek_v3"])
def test_blocks_of_layers(models, name, kind, tmp_path):
    """Blocks of ranks hold the layers one after the other: gradients go back through all of them."""
    more = {"adapters": adapters(name)} if kind == "adapters" else {"settings": {"learning_rate": 2e-4, "max_steps": 8}}
    asked = request(models[name], "grad_diff", **more)
    asked["settings"]["recompute_layers"] = name == "llama"
    truth, whole = on_ranks(tmp_path / "whole", asked, None)
    for ranks, blocks in [(2, 2), (4, 2)] if name == "llama" else [(4, 2)]:
        answer, split = on_ranks(tmp_path / f"ranks{ranks}", asked, (ranks, blocks))
        compare(answer, truth)
        for weights in [split, whole]:
            for tensor in [tensor for tensor in weights if tensor.endswith(KEY_BIASES)]:
                del weights[tensor]
        assert worst(split, whole) < LIMIT, ranks


@pytest.mark.parametrize("name,objective", [("gemma2", "grad_diff"), ("llama_uneven", "kl"), ("gemma2", "dpo"), ("llama_uneven", "npo_grad_diff"),
                                            ("gemma2", "undial"), ("llama_uneven", "remember_uniform"), ("gemma2", "satimp")])
def test_objectives(models, name, objective, tmp_path):
    asked = request(models[name], objective, adapters=adapters(name))
    truth, whole = on_ranks(tmp_path / "whole", asked, None)
    answer, split = on_ranks(tmp_path / "split", asked, 4)
    compare(answer, truth)
    assert worst(split, whole) < LIMIT


def test_dropout_and_recomputed_layers(models, tmp_path):
    """All ranks drop what one rank drops; layers that are computed again sum again."""
    asked = request(models["llama"], adapters=adapters("llama", dropout=0.3))
    truth, whole = on_ranks(tmp_path / "whole", asked, None)
    for name, settings in {"split": {}, "recomputed": {"recompute_layers": True}, "joined": {"shares": 2}}.items():
        again = {**asked, "settings": {**asked["settings"], **settings}}
        answer, split = on_ranks(tmp_path / name, again, 4)
        compare(answer, truth)
        assert worst(split, whole) < LIMIT, name


def test_groups_of_ranks_share_out_a_step(models, tmp_path):
    """Two groups hold the model each and take a share: the bits of one group that takes both, also after a kill."""
    asked = request(models["llama"], adapters=adapters("llama", dropout=0.3), held_out=4,
                    settings={"shares": 2, "checkpoint_every": 5, "evaluate_every": 4, "keep": "best"})
    split = {"split": True, "tensor_parallel": True}
    published = []
    for name, ranks, groups in [("one", 2, 1), ("two", 4, 2)]:
        folder = tmp_path / name
        folder.mkdir()
        again = {**asked, **split, "groups": groups, "output": str(folder / "out"), "checkpoints": str(folder / "checkpoints")}
        if groups == 2:
            run_probe(folder, {**again, "kill_after": 12}, ranks=ranks, expect=137)
        answer = run_probe(folder, again, ranks=ranks)
        published.append((folder / "out" / "adapter_model.safetensors").read_bytes())
        assert len(answer["held_out"]) == 5
    assert published[0] == published[1]


@pytest.mark.parametrize("kind", ["adapters", "all"])
def test_a_training_goes_on_with_another_number_of_ranks(models, kind, tmp_path):
    more = {"adapters": adapters("llama", dropout=0.3)} if kind == "adapters" else {}
    asked = request(models["llama"], held_out=4, settings={"checkpoint_every": 3, "evaluate_every": 4, "keep": "best"}, **more)
    truth, whole = on_ranks(tmp_path / "whole", asked, None)
    asked["checkpoints"] = str(tmp_path / "checkpoints")
    split = {"split": True, "tensor_parallel": True}
    for ranks, blocks, killed in [(4, 1, 7), (None, 1, 11), (2, 2, 16)]:
        run_probe(tmp_path, {**asked, **({**split, "blocks": blocks} if ranks else {}), "kill_after": killed}, ranks=ranks, expect=137 if ranks else -9)
        assert [int(step.name[5:]) for step in (tmp_path / "checkpoints").glob("step-*")] == [(killed - 1) // 3 * 3]
    answer, resumed = on_ranks(tmp_path / "resumed", asked, 4)
    compare(answer, truth)
    assert [h["step"] for h in answer["held_out"]] == [h["step"] for h in truth["held_out"]]
    for mine, theirs in zip(answer["held_out"], truth["held_out"]):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=LIMIT)
    assert worst(resumed, whole) < LIMIT


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "phi", "olmo2", "qwen2_moe", "gpt_oss", "deepseek_v3"])
def test_all_weights(models, name, tmp_path):
    asked = request(models[name], settings={"learning_rate": 2e-4, "max_steps": 8})
    truth, whole = on_ranks(tmp_path / "whole", asked, None)
    answer, split = on_ranks(tmp_path / "split", asked, 4)
    compare(answer, truth)
    for weights in [split, whole]:
        for tensor in [tensor for tensor in weights if tensor.endswith(KEY_BIASES)]:
            del weights[tensor]
    assert worst(split, whole) < LIMIT


@pytest.mark.parametrize("ranks,blocks,objective", [(2, 1, "cross_entropy"), (4, 1, "cross_entropy"), (4, 2, "cross_entropy"), (4, 1, "grad_diff"),
                                                    (4, 2, "kl"), (2, 1, "dpo"), (4, 1, "undial_grad_diff"), (4, 2, "remember_uniform")])
def test_a_delta_beside_a_split_template(tmp_path, objective, ranks, blocks):
    """Its vocabulary of 97 tokens is no multiple of the ranks; the first delta beside it is whole."""
    template = make_model(tmp_path / "template", 1, 32, 2, 4, 2, tied=False)
    anti = make_model(tmp_path / "anti", 3, 16, 1, 2, 1, tied=False)
    delta = make_model(tmp_path / "delta", 2, 16, 2, 2, 2)
    asked = {**request(delta, objective), "examples": make_examples(5, 31), "retain": make_examples(6, 17),
             "refusals": make_refusals(7, make_examples(5, 31), 2)}
    frozen = [{"folder": template}, {"folder": anti, "coefficient": -1.0}]
    truth, whole = on_ranks(tmp_path / "whole", {**asked, "frozen": frozen}, None)
    frozen[0]["split"] = True
    folder = tmp_path / "split"
    folder.mkdir()
    answer = run_probe(folder, {**asked, "frozen": frozen, "tensor_parallel": True, "blocks": blocks, "output": str(folder / "out")},
                       ranks=ranks)
    compare(answer, truth)
    assert worst(load_file(folder / "out" / "model.safetensors"), whole) < LIMIT
    assert answer["stores"][0]["examples"] == truth["stores"][0]["examples"], "its states are kept, too"
