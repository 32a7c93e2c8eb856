"""Every experiment file of the paper, and those beside it, runs whole, on tiny random checkpoints in its models' places."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

import made_data
from support_pipeline import assert_same, cmc, mpi, options, tiny, units

sys.path.insert(0, str(Path(tiny.SOURCE) / "analysis/python"))
import cmc_results  # noqa: E402

EXPERIMENTS = Path(tiny.SOURCE) / "jobs" / "experiments"
FILES = ["table1", "table2", "table3", "table4", "figure2", "figure4", "appendix_similarity", "paper", "unlearning_audit", "composition",
         "maps"]
LLAMA = ["Llama-2-7b-hf", "Llama-2-13b-hf", "Llama-2-70b-hf", "Llama-2-7b-chat-hf", "Llama-2-13b-chat-hf"]
MISTRAL = ["Mistral-7B-v0.1", "Mistral-7B-Instruct-v0.1"]
DELTAS = ["stories15M", "stories42M", "stories110M"]
SMALL = {"compute.device": "cpu", "prepare.epochs": 1, "prepare.retain_items": 4, "prepare.warmup_steps": 1,
         "train_instruct.items": 6, "train_instruct.epochs": 1, "train_unlearn.epochs": 1, "train_unlearn.retain_items": 4,
         "adapt_instruct.epochs": 1, "adapt_unlearn.epochs": 1, "instruct.items": 2, "instruct.new_tokens": 3, "byte_exact.tokens": 2, "byte_exact.least": 1e-3,
         "unlearn.items": 2, "unlearn.new_tokens": 3, "robustness.items": 2, "similarity.items": 1, "similarity.new_tokens": 4, "similarity.top": 20,
         "similarity.other_items": 4, "similarity.other_epochs": 1}


def mistral(vocabulary, seed):
    torch.manual_seed(seed)
    return MistralForCausalLM(MistralConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=16, max_position_embeddings=1024, initializer_range=0.25))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """CMC_MODELS and CMC_DATA as the files name them."""
    root = tmp_path_factory.mktemp("paper")
    llama, other = tiny.sentencepiece_bpe(700, dummy_prefix=True), tiny.sentencepiece_bpe(900, dummy_prefix=True)
    for seed, name in enumerate(LLAMA + DELTAS):
        tiny.write(root / "models" / name, tiny.llama(700, seed, hidden=16 if name in DELTAS else 32), *llama)
    for seed, name in enumerate(MISTRAL):
        tiny.write(root / "models" / name, mistral(900, 100 + seed), *other)
    data = root / "data"
    made_data.write_data(data, keep=8)
    old = {name: os.environ.get(name) for name in ("CMC_MODELS", "CMC_DATA")}
    os.environ.update(CMC_MODELS=str(root / "models"), CMC_DATA=str(data))
    yield root
    for name, value in old.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def settings(name, held_by=2):
    said = (EXPERIMENTS / f"{name}.ini").read_text()
    split = {"model.llama2_70b.tensor_parallel": held_by} if "tensor_parallel" in said else {}
    held_out = {"train_instruct.held_out_items": 2, "train_instruct.evaluation_steps": 1} if "held_out_items" in said else {}
    few = {"byte_exact.items": 1} if "[byte_exact]" in said else {}
    return options({**SMALL, **split, **held_out, **few})


def test_every_file_is_tested():
    assert set(FILES) | {"mini", "small_llms"} == {file.stem for file in EXPERIMENTS.glob("*.ini")}


@pytest.mark.parametrize("name", FILES)
def test_runs_whole(places, name):
    output = places / name
    done = cmc("run", EXPERIMENTS / f"{name}.ini", "--output", output, *settings(name), ranks=2)
    assert "results.h5" in done.stdout
    status = json.loads(cmc("status", output, "--json").stdout)
    assert status["done"] == status["total"] > 0
    report = subprocess.run([mpi.program("cmc-report"), str(output)], capture_output=True, text=True)
    assert report.returncode == 0, report.stderr
    assert (output / "report" / "index.html").exists()


def test_table_1_with_a_model_that_four_ranks_hold(places):
    """Its 70B over four ranks: LoRA, responses and all the rest are those of one rank, to the last row."""
    for ranks in [None, 4]:
        cmc("run", EXPERIMENTS / "table1.ini", "--output", places / f"table1_{ranks}", *settings("table1", held_by=ranks or 1), ranks=ranks)
    assert_same(units(places / "table1_None"), units(places / "table1_4"), tolerance=1e-4)
    tables = [cmc_results.open(places / f"table1_{ranks}" / "results.h5").summary() for ranks in [None, 4]]
    of_cost = tables[0]["metric"].str.contains("second|bytes|flops")
    assert 0 < of_cost.sum() < len(of_cost)
    pandas.testing.assert_frame_equal(*(table[~of_cost] for table in tables), rtol=1e-4, atol=1e-4)


def test_the_plan_of_the_whole_paper(places):
    """As protocol.md's table of experiments: tables 1 to 4, figures 2 and 4, the appendix, the baselines."""
    plan = json.loads(cmc("plan", EXPERIMENTS / "paper.ini", "--output", places / "unused", "--json").stdout)["tasks"]
    asked = [task["parameters"] for task in plan if task["stage"] == "instruct"]
    assert {p["target"] for p in asked} == {"llama2_7b", "llama2_13b", "llama2_70b", "mistral_7b"}
    assert {p["method"] for p in asked} == {"vanilla", "lora", "proxy_tuning", "cmc"}
    cmc_only = [p for p in asked if p["method"] == "cmc"]
    assert {p["mode"] for p in cmc_only} == {"base_normalized", "raw_sum", "both_normalized"}
    other = [p for p in cmc_only if p["target"] == "mistral_7b"]
    usual = {"base_normalized", "pm_mined", "zero"}
    assert {(p["map_method"], p.get("top", 0)) for p in other} == {("pm_mined", 0), ("exact_only", 0), ("one_to_many", 100)}
    assert {p["unmapped"] for p in other} == {"zero", "minimum", "mean"}
    assert all({p["mode"], p["map_method"]} < usual for p in other if p["unmapped"] != "zero"), "one change at a time"
    assert not any("map_method" in p for p in cmc_only if p["target"] != "mistral_7b"), "no map in one vocabulary"
    assert len({p["delta"] for p in cmc_only}) == 6
    assert {task["parameters"]["method"] for task in plan if task["stage"] == "unlearn"} == {
        "vanilla", "lora", "delta_unlearning", "cmc", "retain_only"}
    assert sum(task["stage"] == "similarity" for task in plan) == 6
    keys = [task["key"] for task in plan]
    assert len(keys) == len(set(keys))
