"""Targets that are split over ranks (model.*.tensor_parallel) give the units of whole ones."""

import json

import h5py
import pytest

import support_pipeline as support
from support_pipeline import cmc

JUDGE = ["--set", "judge.model=large"]
SPLIT = ["--set", "model.large.tensor_parallel=2", "--set", "model.other.tensor_parallel=2"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    experiment = support.make_world(root)
    cmc("run", experiment, "--output", root / "whole", *JUDGE)
    return root, experiment


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
    root, experiment = world
    folder = root / f"split{ranks}"
    cmc("run", experiment, "--output", folder, *JUDGE, *SPLIT, ranks=ranks)
    support.assert_same(support.units(root / "whole"), support.units(folder), tolerance=1e-4)
    made_by = ranks_of_units(folder)
    assert made_by["instruct", "large"] == made_by["unlearn", "other"] == {2}
    assert made_by["judge", "small"] == made_by["judge", "other"] == {2}, "the judge is held together, too"
    assert made_by["instruct", "small"] == {1}


def test_the_plan_asks_for_the_ranks(world):
    root, experiment = world
    tasks = json.loads(cmc("plan", experiment, "--output", root / "unused", "--json", *SPLIT).stdout)["tasks"]
    sizes = {(task["stage"], task["parameters"].get("target")): task["tensor_parallel"] for task in tasks}
    assert sizes["instruct", "large"] == sizes["unlearn", "other"] == 2
    assert sizes["prepare", "large"] == 2 and sizes["instruct", "small"] == 1
    whole = json.loads(cmc("plan", experiment, "--output", root / "unused", "--json").stdout)["tasks"]
    assert [task["key"] for task in tasks] == [task["key"] for task in whole], "how a target is held changes no result"


def test_a_number_that_does_not_divide_the_heads(world):
    root, experiment = world
    done = cmc("plan", experiment, "--output", root / "unused", "--set", "model.large.tensor_parallel=3", expect=78)
    assert "model.large.tensor_parallel" in done.stderr and "1, 2, 4" in done.stderr


@pytest.mark.parametrize("verb", ["generate", "score"])
def test_verbs_split_over_all_ranks(world, verb, tmp_path):
    root, _ = world
    lines = [{"prompt": "Where was the author born?", "answer": " In a town."}, {"prompt": "Who wrote it?", "answer": " She."}]
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["--model", root / "other", "--delta", root / "small", "--device", "cpu"]
    options += ["--prompts", file, "--new", 8] if verb == "generate" else ["--pairs", file]
    answers = []
    for ranks, split in [(None, []), (2, ["--tensor-parallel"]), (2, [])]:
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
