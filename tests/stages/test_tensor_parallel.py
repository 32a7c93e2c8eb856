"""Targets that are split over ranks (model.*.tensor_parallel) give the units of whole ones."""

import json
import shutil

import h5py
import pytest

import support_pipeline as support
from support_pipeline import cmc, made_data

SPLIT = ["--set", "model.large.tensor_parallel=2", "--set", "model.other.tensor_parallel=2"]
# Every other stage that asks a target.
SETTINGS = {"judge.model": "large", "robustness.tests": "int8, int4, paraphrase, prefix", "robustness.items": 2, "byte_exact.items": 1,
            "byte_exact.tokens": 2, "ifeval.new_tokens": 16, "ifeval.unit_items": 6, "similarity.pairs": "large:other, small:other",
            "similarity.items": 2, "similarity.new_tokens": 5, "similarity.top": 20, "similarity.other_items": 4, "similarity.other_epochs": 1,
            "adapt_instruct.epochs": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    experiment = support.make_world(root)
    asked = [{"key": number, "prompt": row["instruction"], "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
             for number, row in enumerate(made_data.evaluation_prompts(6))]
    (root / "ifeval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    settings = {**SETTINGS, "data.ifeval": root / "ifeval.jsonl", "data.other": root / "data" / "alpaca.json"}
    settings = support.options(settings)
    cmc("run", experiment, "--output", root / "whole", *settings)
    return root, experiment, settings


def ranks_of_units(folder):
    """(stage, target) → the numbers of ranks that made its units."""
    found = {}
    for file in folder.glob("units/*/*.h5"):
        with h5py.File(file) as unit:
            task, cost = json.loads(unit.attrs["task"]), json.loads(unit.attrs["cost"])
        found.setdefault((task["stage"], task.get("target")), set()).add(cost["ranks"])
    return found


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_units_of_whole_targets(world, ranks):
    root, experiment, settings = world
    folder = root / f"split{ranks}"
    cmc("run", experiment, "--output", folder, *settings, *SPLIT, ranks=ranks)
    support.assert_same(support.units(root / "whole"), support.units(folder), tolerance=1e-4)
    made_by = ranks_of_units(folder)
    assert made_by["instruct", "large"] == made_by["unlearn", "other"] == {2}
    assert made_by["judge", "small"] == made_by["judge", "other"] == {2}, "the judge is held together, too"
    assert all(made_by[stage, "other"] == {2} for stage in ("robustness", "byte_exact", "ifeval", "similarity"))
    assert made_by["instruct", "small"] == made_by["robustness", "small"] == {1}


def test_every_model_in_blocks_of_layers(world):
    """Template, target and judge over two blocks of ranks, which hold the layers one after the other."""
    root, experiment, settings = world
    folder = root / "blocks"
    blocks = {"model.small.pipeline_parallel": 2, "model.large.pipeline_parallel": 2, "model.other.tensor_parallel": 2,
              "model.other.pipeline_parallel": 2}
    cmc("run", experiment, "--output", folder, *settings, *support.options(blocks), ranks=4)
    support.assert_same(support.units(root / "whole"), support.units(folder), tolerance=1e-4)
    made_by = ranks_of_units(folder)
    assert made_by["train", None] == made_by["instruct", "small"] == made_by["unlearn", "large"] == {2}
    assert made_by["unlearn", "other"] == {4} and made_by["prepare", "other"] == {4}


def test_shares_of_groups_that_hold_a_model(world):
    """Two groups of two ranks each take a share; one rank takes both."""
    root, experiment, _ = world
    common = ["--set", "prepare.shares=2", "--set", "models.template=large", "--set", "models.targets=large", "--only", "prepare"]
    cmc("run", experiment, "--output", root / "shares_whole", *common)
    cmc("run", experiment, "--output", root / "shares", *common, "--set", "model.large.tensor_parallel=2", ranks=4)
    support.assert_same(support.units(root / "shares_whole"), support.units(root / "shares"), tolerance=1e-4)
    assert ranks_of_units(root / "shares")["prepare", "large"] == {4}


def test_the_plan_asks_for_the_ranks(world):
    root, experiment, _ = world
    tasks = json.loads(cmc("plan", experiment, "--output", root / "unused", "--json", *SPLIT).stdout)["tasks"]
    sizes = {(task["stage"], task["parameters"].get("target")): task["tensor_parallel"] for task in tasks}
    assert sizes["instruct", "large"] == sizes["unlearn", "other"] == 2
    assert sizes["prepare", "large"] == 2 and sizes["instruct", "small"] == 1
    whole = json.loads(cmc("plan", experiment, "--output", root / "unused", "--json").stdout)["tasks"]
    assert [task["key"] for task in tasks] == [task["key"] for task in whole], "how a target is held changes no result"


def test_a_number_that_does_not_divide_the_heads(world):
    root, experiment, _ = world
    done = cmc("plan", experiment, "--output", root / "unused", "--set", "model.large.tensor_parallel=3", expect=78)
    assert "model.large.tensor_parallel" in done.stderr and "1, 2, 4" in done.stderr


def test_a_pair_over_different_numbers_of_ranks(world):
    """Both are split over the larger, a small one is whole on each; refused where heads cannot be dealt so."""
    root, experiment, settings = world
    folder = root / "pairs"
    sizes = ["--set", "model.large.tensor_parallel=2", "--set", "model.other.tensor_parallel=4"]
    cmc("run", experiment, "--output", folder, *settings, *sizes, "--only", "similarity", ranks=4)
    mine = support.units(folder)
    whole = support.units(root / "whole")
    support.assert_same({key: whole[key] for key in mine}, mine, tolerance=1e-4)
    assert ranks_of_units(folder)["similarity", "other"] == {4}
    plan = json.loads(cmc("plan", experiment, "--output", root / "unused", "--json", *settings, *sizes).stdout)["tasks"]
    assert {task["tensor_parallel"] for task in plan if task["stage"] == "similarity"} == {4}


def test_a_pair_that_no_group_holds(world):
    """Six heads over three ranks, beside a model over four."""
    root, experiment, settings = world
    shutil.copytree(root / "large", root / "six")
    config = json.loads((root / "six" / "config.json").read_text())
    (root / "six" / "config.json").write_text(json.dumps({**config, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8}))
    sizes = {"model.large.path": root / "six", "model.large.tensor_parallel": 3, "model.other.tensor_parallel": 4}
    done = cmc("plan", experiment, "--output", root / "unused", *settings, *support.options(sizes),
               expect=78)
    assert all(word in done.stderr for word in ("model.large.tensor_parallel", "similarity.pairs", "4 ranks", "6 attention heads")), done.stderr


@pytest.mark.parametrize("verb", ["generate", "score"])
def test_verbs_split_over_all_ranks(world, verb, tmp_path):
    root, *_ = world
    lines = [{"prompt": "Where was the author born?", "answer": " In a town."}, {"prompt": "Who wrote it?", "answer": " She."}]
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["--model", root / "other", "--delta", root / "small", "--device", "cpu"]
    options += ["--prompts", file, "--new", 8] if verb == "generate" else ["--pairs", file]
    answers = []
    for ranks, split in [(None, []), (2, ["--tensor-parallel"]), (2, ["--tensor-parallel", "--pipeline-parallel", 2]), (2, [])]:
        done = cmc(verb, *options, *split, ranks=ranks).stdout
        answers.append([json.loads(line) for line in done.splitlines() if line.startswith("{")][:len(lines)])
    assert len(answers[0]) == len(lines)
    for others in answers[1:]:
        assert len(others) == len(lines)
        for one, other in zip(answers[0], others):
            if verb == "generate":
                assert one == other
            else:
                assert other["tokens"] == one["tokens"] and abs(other["logprob"] - one["logprob"]) < 1e-4
