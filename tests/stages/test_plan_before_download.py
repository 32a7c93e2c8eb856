"""cmc plan where the models and data sets of the paper are not there: what is known of them stands in their place."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import outside
from support_pipeline import cmc, make_world, mpi, tiny
from test_simulate import environment  # noqa: F401  the paper's models by their real configurations

EXPERIMENTS = Path(tiny.SOURCE) / "jobs" / "experiments"
FILES = sorted(file.stem for file in EXPERIMENTS.glob("*.ini"))


def bare(*arguments, cwd, expect=0):
    """cmc as in a new clone: no variable says where anything is."""
    clean = {name: value for name, value in os.environ.items() if name not in ("CMC_MODELS", "CMC_DATA")}
    done = subprocess.run([mpi.program("cmc"), *map(str, arguments)], cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture
def clone(tmp_path):
    shutil.copytree(EXPERIMENTS, tmp_path / "jobs" / "experiments")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_is_planned(clone, name):
    file = f"jobs/experiments/{name}.ini"
    for options in ([], ["--simulate", "1,8,64"]):
        text = bare("plan", file, *options, cwd=clone).stdout
        assert "tasks, about" in text and "of work, at most" in text
        for kind in ("models", "data"):
            assert (f"jobs/fetch.sh {kind} {file}" in text) == (name != "mini"), text
    names_70b = "Llama-2-70b-hf" in (EXPERIMENTS / f"{name}.ini").read_text()
    assert ("needs 4 ranks on a node" in text) == names_70b
    plan = json.loads(bare("plan", file, "--json", cwd=clone).stdout)
    assert plan["tasks"] and all(task.get("provisional", False) == (name != "mini") for task in plan["tasks"])
    assert {one["kind"] for one in plan["absent"]} == (set() if name == "mini" else {"model", "data"})
    assert all(one["bytes"] > 0 for one in plan["absent"])


def costs(plan):
    return [(task["name"], task["stage"], task["seconds"], task["bytes"], task["load_seconds"], task["tensor_parallel"], task["shares"])
            for task in plan["tasks"]]


@pytest.mark.parametrize("name", ["paper", "table3", "figure2"])
def test_the_sizes_are_those_of_the_models(environment, clone, name):  # noqa: F811
    """Planned with their config.json beside them: the same tasks, times and memory."""
    link = clone / "data"
    link.symlink_to(environment / "data")
    without = json.loads(bare("plan", f"jobs/experiments/{name}.ini", "--json", cwd=clone).stdout)
    link_models = clone / "models"
    link_models.symlink_to(environment / "models")
    there = json.loads(bare("plan", f"jobs/experiments/{name}.ini", "--json", cwd=clone).stdout)
    assert costs(without) == costs(there)
    assert there["absent"] == [] and {one["kind"] for one in without["absent"]} == {"model"}
    assert not any("provisional" in task for task in there["tasks"])


def test_the_data_sets_hold_what_is_known_of_them(clone):
    """The published sizes against the real files."""
    file = "jobs/experiments/small_llms.ini"
    (clone / "models").symlink_to(outside.model("smollm2-135m-instruct").parent)
    unlimited = ["--set", "train_instruct.items=0", "--set", "likelihood.choice_items=0", "--set", "likelihood.items=0",
                 "--set", "instruct.items=0", "--set", "unlearn.items=10000", "--set", "instruct.checked_items=10000", "--set", "similarity.other_items=0"]
    for forget in ("forget01", "forget05", "forget10"):
        asked = ["plan", file, "--json", *unlimited, "--set", f"train_unlearn.forget={forget}"]
        without = json.loads(bare(*asked, cwd=clone).stdout)
        link = clone / "data"
        link.symlink_to(outside.data("tofu").parent)
        there = json.loads(bare(*asked, cwd=clone).stdout)
        link.unlink()
        assert costs(without) == costs(there)
        for one in without["absent"]:
            real = outside.DATA / Path(one["path"]).relative_to("data")
            assert abs(one["bytes"] - real.stat().st_size) <= 0.01 * real.stat().st_size


def test_small_models_that_are_there_change_no_size(clone):
    """Two real folders against the shapes that stand for them."""
    file = "jobs/experiments/small_llms.ini"
    without = json.loads(bare("plan", file, "--json", cwd=clone).stdout)
    (clone / "models").symlink_to(outside.model("smollm2-135m-instruct").parent)
    there = json.loads(bare("plan", file, "--json", cwd=clone).stdout)
    assert costs(without) == costs(there)


def test_a_model_of_unknown_sizes_asks_for_them(tmp_path):
    experiment = make_world(tmp_path)
    folder = tmp_path / "large"
    config = folder / "config.json"
    shutil.copytree(folder, tmp_path / "kept")
    shutil.rmtree(folder)
    refused = cmc("plan", experiment, expect=78).stderr
    assert "model.large.path" in refused and "model.large.shape" in refused and "llama2_7b" in refused
    assert "model.large.shape" in cmc("plan", experiment, "--set", "model.large.shape=llama9", expect=78).stderr
    whole = json.loads(cmc("plan", experiment, "--json", "--set", f"model.large.shape={tmp_path / 'kept'}").stdout)
    named = json.loads(cmc("plan", experiment, "--json", "--set", "model.large.shape=tiny").stdout)
    maps = [task["name"] for task in named["tasks"] if task["stage"] == "token_map"]
    assert maps == ["map large to small", "map other to small"], "a vocabulary of another size needs a map"
    assert whole["absent"][0]["path"] == str(folder) and len(whole["absent"]) == 1
    touched = {task["key"] for task in whole["tasks"] if task.get("provisional")}
    assert touched and len(touched) < len(whole["tasks"])
    for task in whole["tasks"]:  # an input that is provisional makes its task so
        assert task["key"] in touched or not touched & set(task["inputs"])
    assert cmc("run", experiment, "--output", tmp_path / "out", "--set", "model.large.shape=tiny", expect=66).stderr
    folder.mkdir()
    shutil.copy(tmp_path / "kept" / "config.json", config)  # broken off behind its first file
    begun = json.loads(cmc("plan", experiment, "--json").stdout)
    assert costs(begun) == costs(whole)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder)
    complete = json.loads(cmc("plan", experiment, "--json").stdout)
    assert costs(complete) == costs(whole) and complete["absent"] == []
    keys = {task["key"] for task in complete["tasks"]}
    assert {task["key"] for task in whole["tasks"]} - keys == touched, "keys that are not provisional stay"
