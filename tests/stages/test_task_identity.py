"""What a task's key and its random seed are made of, computed again here from the plan."""

import hashlib
import json

import pytest

from support_pipeline import cmc, world  # noqa: F401


def planned(experiment, folder, *settings):
    arguments = [text for setting in settings for text in ("--set", setting)]
    return json.loads(cmc("plan", experiment, "--output", folder / "unused", "--json", *arguments).stdout)["tasks"]


def digest(stage, parameters, inputs):
    text = json.dumps({"stage": stage, "parameters": parameters, "inputs": inputs}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def asked_for(value, asked):
    """Parameters with the keys of other tasks named by what those ask for."""
    if isinstance(value, dict):
        return {name: asked_for(item, asked) for name, item in value.items()}
    if isinstance(value, list):
        return [asked_for(item, asked) for item in value]
    return asked.get(value, value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def tasks(world):
    root, experiment = world
    return planned(experiment, root, "methods.instruct=vanilla, cmc, lora", "judge.model=large")


def test_key_is_stage_revision_parameters_inputs_and_compute(tasks):
    assert {task["stage"] for task in tasks} == {"token_map", "prepare", "train", "adapt", "instruct", "judge", "unlearn"}
    for task in tasks:
        whole = {"parameters": task["parameters"], "revision": task["revision"], "compute": task["compute"]}
        assert task["key"] == digest(task["stage"], whole, task["inputs"])
        assert task["compute"] == ("" if task["stage"] == "token_map" else "cpu float32")


def test_seed_follows_from_what_is_asked_alone(tasks):
    asked = {}
    for task in tasks:
        parameters = asked_for({name: value for name, value in task["parameters"].items() if name != "trained"}, asked)
        mine = asked[task["key"]] = digest(task["stage"], parameters, sorted(asked[key] for key in task["inputs"]))
        assert task["seed"] == int(hashlib.sha256(f"4:task{len(mine)}:{mine}".encode()).hexdigest()[:16], 16)
    assert len({task["seed"] for task in tasks}) == len(tasks)


def test_another_type_of_numbers_is_another_task_with_the_same_seed(world, tasks):
    root, experiment = world
    others = planned(experiment, root, "methods.instruct=vanilla, cmc, lora", "judge.model=large", "compute.dtype=bfloat16")
    assert len(others) == len(tasks)
    for task, other in zip(tasks, others):
        assert (task["name"], task["seed"]) == (other["name"], other["seed"])
        assert (task["key"] == other["key"]) == (task["stage"] == "token_map")


def test_the_same_bits_each_time_is_another_task(world, tasks):
    root, experiment = world
    for task, other in zip(tasks, planned(experiment, root, "methods.instruct=vanilla, cmc, lora", "judge.model=large", "compute.deterministic=yes")):
        assert other["compute"] == ("" if task["stage"] == "token_map" else "cpu float32 deterministic")
        assert (task["seed"], task["key"] == other["key"]) == (other["seed"], task["stage"] == "token_map")


def test_a_rank_that_computes_otherwise_than_planned_says_so(world):
    """CUDA is planned where it is asked for; here is none."""
    root, experiment = world
    done = cmc("run", experiment, "--output", root / "cuda", "--set", "compute.device=cuda", "--only", "token_map", expect=78)
    assert "no CUDA device" in done.stderr
