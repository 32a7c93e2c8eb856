"""The embedded experiment, cut down to seconds: every stage and method over two generated worlds."""

import json
from pathlib import Path

import numpy as np
import pytest

import support_pipeline as support
from support_pipeline import cmc, tiny

MINI = Path(tiny.SOURCE) / "jobs" / "experiments" / "mini.ini"
SMALL = {"experiment.seed": "1,2", "world.documents": 400, "pretrain.steps": 6, "prepare.epochs": 1, "train_instruct.items": 32,
         "train_instruct.epochs": 1, "train_unlearn.epochs": 2, "adapt_instruct.epochs": 1, "adapt_unlearn.epochs": 1,
         "similarity.items": 2, "similarity.new_tokens": 6, "similarity.other_items": 16, "instruct.items": 6,
         "instruct.new_tokens": 8, "instruct.unit_items": 6, "judge.model": "large", "unlearn.items": 4, "unlearn.new_tokens": 6}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(output folder, units as (task, values))."""
    output = tmp_path_factory.mktemp("mini") / "mini"
    arguments = [text for key, value in SMALL.items() for text in ("--set", f"{key}={value}")]
    cmc("run", MINI, "--output", output, *arguments, ranks=2)
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    return output, [(plan[key], values) for key, values in support.units(output).items()]


def test_every_stage_and_method_ran_for_both_seeds(run):
    output, units = run
    assert len(units) == len(json.loads((output / "plan.json").read_text())["tasks"])
    for seed in (1, 2):
        mine = [task for task, _ in units if task["parameters"]["seed"] == seed]
        assert {task["stage"] for task in mine} == {"pretrain", "token_map", "prepare", "train", "adapt", "similarity", "instruct", "judge", "unlearn"}
        methods = {(task["stage"], task["parameters"]["method"]) for task in mine if task["stage"] in ("instruct", "unlearn")}
        assert methods == {("instruct", m) for m in ("vanilla", "cmc", "lora", "full", "proxy_tuning")} | {
            ("unlearn", m) for m in ("vanilla", "cmc", "lora", "full", "delta_unlearning", "retain_only")}


def test_seeds_are_repetitions_of_their_own(run):
    _, units = run
    losses = [tuple(values["loss"]) for task, values in units if task["stage"] == "pretrain" and task["parameters"]["target"] == "small"]
    assert len(losses) == 2 and losses[0] != losses[1]
    for values in losses:
        assert np.isfinite(values).all() and values[-1] < values[0]


def test_responses_are_checked(run):
    _, units = run
    for task, values in units:
        if task["stage"] != "instruct":
            continue
        assert set(np.unique(values["followed"])) <= {0, 1} and set(np.unique(values["fact"])) <= {0, 1}
        assert len(values["response"]) == 6 * len(task["parameters"]["strengths"])


def test_a_model_made_here_judges(run):
    """Its own seed's, and never surely: two verdicts of a model that hardly learnt to speak."""
    _, units = run
    judges = {}
    for task, values in units:
        if task["stage"] != "judge":
            continue
        assert ((values["probability"] > 0) & (values["probability"] < 1)).all()
        judges.setdefault(task["parameters"]["seed"], set()).add(task["parameters"]["judge"]["task"])
    assert judges.keys() == {1, 2} and all(len(made) == 1 for made in judges.values()) and judges[1] != judges[2]


def test_shifts(run):
    """What the unit says of its shifts follows from the shifts it holds, by geomloss and numpy."""
    import torch
    from geomloss import SamplesLoss
    loss = SamplesLoss("sinkhorn", p=2, blur=0.01, backend="tensorized")
    _, units = run
    seen = 0
    for task, values in units:
        if task["stage"] != "similarity":
            continue
        width = values["shift_reference"].shape[1]
        for prompt, item in enumerate(values["item"]):
            rows = values["step_item"] == item
            x = values["shift_reference"][rows].astype(float)
            for kind in ("same", "different"):
                y = values[f"shift_{kind}"][rows].astype(float)
                wanted = loss(torch.tensor(x), torch.tensor(y)).item() / width
                assert values[f"sinkhorn_{kind}"][prompt] == pytest.approx(wanted, rel=1e-4, abs=1e-9)
                assert values[f"mean_square_{kind}"][prompt] == pytest.approx(np.mean((x - y) ** 2), rel=1e-5)
                assert values[f"pearson_{kind}"][prompt] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1], abs=1e-5)
            seen += 1
    assert seen
