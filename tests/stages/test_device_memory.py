"""What tasks take of a device: cmc plan says it of each model, and a plan that does not fit is refused before anything runs."""

import json

import pytest
import support_pipeline as support
from safetensors.torch import load_file
from support_pipeline import cmc, world  # noqa: F401

GIB = 2 ** 30
LORA = ["--set", "methods.instruct=vanilla, cmc, lora"]


def plan_of(world, *settings, memory=0.0, expect=0):
    options = ["--set", f"compute.device_memory={memory:.9f}", *settings]
    return cmc("plan", world[1], "--output", world[0] / "unused", "--json", *options, expect=expect)


def largest(plan, stages):
    return max(task["bytes"] for task in plan["tasks"] if task["stage"] in stages and task["parameters"].get("target", "") in ("large",))


def test_a_line_a_model(world):
    plan = json.loads(plan_of(world, *LORA).stdout)
    models = {model["model"]: model for model in plan["models"]}
    assert models.keys() == {"small", "large", "other"} and plan["device_bytes"] == 0
    for name, model in models.items():
        assert model["weights"] == sum(tensor.nbytes for tensor in load_file(world[0] / name / "model.safetensors").values())
        assert model["heads"] == 4 and model["tensor_parallel"] == 1 and model["evaluated"]["devices"] is None
    large = models["large"]
    assert large["evaluated"]["bytes"] == largest(plan, ("instruct", "unlearn"))
    assert large["trained"]["bytes"] == largest(plan, ("adapt", "prepare")) == 4 * large["weights"], "weights, gradients, moments"
    text = cmc("plan", world[1], "--output", world[0] / "unused", *LORA).stdout
    assert f"{large['trained']['bytes'] / GIB:.4f}" in text


@pytest.mark.parametrize("share, devices", [(1.0, 1), (0.99, 2), (0.5, 2), (0.49, 4), (0.25, 4), (0.24, None)])
def test_the_fewest_devices_that_hold_it(world, share, devices):
    """Trainings are shared out whole, so that a half needs half."""
    large = [model for model in json.loads(plan_of(world).stdout)["models"] if model["model"] == "large"][0]
    done = plan_of(world, memory=share * large["trained"]["bytes"] / GIB + 1e-9, expect=78 if devices != 1 else 0)
    told = [model for model in json.loads(done.stdout)["models"] if model["model"] == "large"][0]
    assert told["trained"]["devices"] == devices
    if devices != 1:
        assert "model.large.tensor_parallel: is 1, and fine-tune large" in done.stderr
        assert (f"set {devices}" if devices else "no number of ranks") in done.stderr and "device" in done.stderr


def test_a_split_target_takes_less(world):
    whole, split = (json.loads(plan_of(world, *options, "--set", "prepare.epochs=0").stdout)["models"]
                    for options in ([], ["--set", "model.large.tensor_parallel=2"]))
    whole, split = ({model["model"]: model["evaluated"]["bytes"] for model in models} for models in (whole, split))
    assert whole["large"] / 2 <= split["large"] < 0.6 * whole["large"] and split["other"] == whole["other"]


def test_a_pair_is_split_together(world):
    pair = ["--set", "similarity.pairs=small:large", "--set", f"data.other={world[0] / 'data' / 'alpaca.json'}", "--set", "prepare.epochs=0"]
    plan = json.loads(plan_of(world, *pair).stdout)
    task, = [task for task in plan["tasks"] if task["stage"] == "similarity"]
    done = plan_of(world, *pair, memory=0.7 * task["bytes"] / GIB, expect=78)
    assert all(word in done.stderr for word in ("model.large.tensor_parallel", "logit shifts", "set 2", "model.small.tensor_parallel likewise")), done.stderr


def test_a_run_is_refused_before_it_computes(world):
    root, experiment = world
    folder, memory = root / "refused", ["--set", "compute.device_memory=0.0005"]
    done = cmc("run", experiment, "--output", folder, *memory, expect=78, ranks=2)
    assert "model.large.tensor_parallel" in done.stderr and not list(folder.glob("units/*/*.h5"))
    cmc("run", experiment, "--output", folder)
    done = cmc("run", experiment, "--output", folder, *memory)
    assert "nothing to do" in done.stdout, "what is done needs no memory"
    assert support.units(folder)
