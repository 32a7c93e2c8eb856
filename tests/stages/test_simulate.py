"""cmc plan --simulate: the whole paper at its models' real sizes (their configurations, no weights), and a run's own measured costs."""

import json
import os
import struct
from pathlib import Path

import h5py
import pytest

import made_data
from support_pipeline import cmc, make_world, tiny

PAPER = Path(tiny.SOURCE) / "jobs" / "experiments" / "paper.ini"
# hidden, intermediate, layers, heads, key-value heads
LLAMA = {"Llama-2-7b-hf": (4096, 11008, 32, 32, 32), "Llama-2-13b-hf": (5120, 13824, 40, 40, 40),
         "Llama-2-70b-hf": (8192, 28672, 80, 64, 8), "Llama-2-7b-chat-hf": (4096, 11008, 32, 32, 32),
         "Llama-2-13b-chat-hf": (5120, 13824, 40, 40, 40), "stories15M": (288, 768, 6, 6, 6),
         "stories42M": (512, 1376, 8, 8, 8), "stories110M": (768, 2048, 12, 12, 12)}
MISTRAL = {"Mistral-7B-v0.1": (4096, 14336, 32, 32, 8), "Mistral-7B-Instruct-v0.1": (4096, 14336, 32, 32, 8)}


def write_model(folder, kind, sizes, tokenizer):
    hidden, intermediate, layers, heads, kv_heads = sizes
    folder.mkdir(parents=True)
    config = {"architectures": [f"{kind}ForCausalLM"], "model_type": kind.lower(), "hidden_size": hidden, "hidden_act": "silu",
              "intermediate_size": intermediate, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "max_position_embeddings": 4096, "vocab_size": 32000, "rms_norm_eps": 1e-5,
              "tie_word_embeddings": hidden < 1000, "bos_token_id": 1, "eos_token_id": 2}
    (folder / "config.json").write_text(json.dumps(config))
    header = json.dumps({"__metadata__": {"of": folder.name}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    root = tmp_path_factory.mktemp("sizes")
    for models, kind, size in [(LLAMA, "Llama", 700), (MISTRAL, "Mistral", 900)]:
        tokenizer = tiny.sentencepiece_bpe(size, dummy_prefix=True)[0]
        for name, sizes in models.items():
            write_model(root / "models" / name, kind, sizes, tokenizer)
    made_data.write_data(root / "data")
    old = {name: os.environ.get(name) for name in ("CMC_MODELS", "CMC_DATA")}
    os.environ.update(CMC_MODELS=str(root / "models"), CMC_DATA=str(root / "data"))
    yield root
    for name, value in old.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def simulated(experiment, ranks, *options):
    done = cmc("plan", experiment, "--simulate", ",".join(map(str, ranks)), "--json", *options)
    runs = json.loads(done.stdout)["simulated"]
    assert [run["ranks"] for run in runs] == ranks
    return runs


SMALLER = ["--set", "methods.instruct=vanilla, cmc", "--set", "methods.unlearn=vanilla, cmc"]
FEWER_SHARES = ["--set", "train_instruct.shares=8", "--set", "adapt_instruct.shares=32"]


@pytest.mark.parametrize("least,options", [(4, []), (1, ["--set", "model.llama2_70b.tensor_parallel=1"]), (4, SMALLER), (4, FEWER_SHARES)],
                         ids=["split", "whole", "fewer methods", "fewer shares"])
def test_the_paper_leaves_few_ranks_idle_and_seldom_loads_a_model_again(environment, least, options):
    """On every number of ranks: at each, other ranks end together. Where a model's group has too few others of its size beside
    it, no schedule is shorter."""
    output = ["--output", environment / "unused", "--set", "compute.device=cuda"]
    for run in simulated(PAPER, list(range(least, 65)), *output, *options):
        assert run["idle_share"] < 0.05 or run["makespan"] < run["least"] * 1.005, run
        assert run["makespan"] > run["least"] * (1 - 1e-9) > 0
        assert run["reloads"] <= 4, "a rank left a model that it needed again"
        assert {"llama2_70b", "mistral_7b"} <= {name.split()[0] for name in run["loads"]}


@pytest.mark.parametrize("text", ["", "0", "2,x", "-1"])
def test_numbers_of_ranks_that_are_none(tmp_path, text):
    assert "--simulate" in cmc("plan", make_world(tmp_path), f"--simulate={text}", expect=2).stderr


def wall_seconds(file):
    with h5py.File(file) as unit:
        return json.loads(unit.attrs["cost"])["wall_seconds"]


def test_measured_costs_calibrate(tmp_path):
    experiment = make_world(tmp_path)
    output = tmp_path / "run"
    before = simulated(experiment, [1], "--output", output)[0]["makespan"]
    cmc("run", experiment, "--output", output)
    wall = sum(wall_seconds(file) for file in output.glob("units/*/*.h5"))
    after = simulated(experiment, [1], "--output", output)[0]["makespan"]
    assert simulated(experiment, [1], "--output", tmp_path / "other", "--costs", output)[0]["makespan"] == after
    assert abs(after - wall) < abs(before - wall) and wall / 2 < after < wall * 2
    assert json.loads(cmc("status", output, "--json").stdout)["estimated_seconds_left"] == 0
    cmc("plan", experiment, "--simulate", "1", "--costs", tmp_path / "nowhere", expect=66)
    table = cmc("plan", experiment, "--simulate", "1,4", "--output", output).stdout
    lines = table.splitlines()
    head = next(i for i, line in enumerate(lines) if "makespan" in line)
    runs = lines[head + 1:head + 3]
    assert "idle" in lines[head] and [int(run.split()[0]) for run in runs] == [1, 4] and "all: 72 tasks" in table
