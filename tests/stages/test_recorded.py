"""What units record beside their results: the losses of refusals, and what a task cost."""

import json
import os

import h5py
import numpy as np
import pytest

import support_pipeline as support
from support_pipeline import cmc, world  # noqa: F401


def trained(world, loss):
    """Datasets and costs of the units of a run that unlearns by `loss`; its folder."""
    root, experiment = world
    folder = root / loss
    if not folder.exists():
        cmc("run", experiment, "--output", folder, "--set", f"train_unlearn.loss={loss}", "--set", "train_unlearn.epochs=2",
            "--only", "train", ranks=2)
    plan = {task["key"]: task for task in json.loads((folder / "plan.json").read_text())["tasks"]}
    return folder, [(plan[key], values) for key, values in support.units(folder).items()]


@pytest.mark.parametrize("loss", ["idk", "dpo", "grad_diff"])
def test_losses_of_refusals(world, loss):
    _, units = trained(world, loss)
    others = [values for task, values in units if task["stage"] in ("train", "prepare")]
    with_refusals = [values for values in others if "refusals_loss" in values]
    assert len(with_refusals) == (loss != "grad_diff") and len(others) > 1
    for values in with_refusals:
        assert values["refusals_loss"].shape == values["loss"].shape and (values["refusals_loss"] > 0).all()
        if loss == "idk":  # the sum of its two terms
            np.testing.assert_allclose(values["loss"], values["refusals_loss"] + values["retain_loss"], rtol=1e-5)


def test_device_seconds(world):
    """Processor time: some, and no more than all cores have in the elapsed time of each of the task's ranks."""
    folder, _ = trained(world, "idk")
    with h5py.File(folder / "results.h5") as results:
        table = {name: results["tasks"][name][()] for name in ("key", "wall_seconds", "device_seconds")}
        assert results["tasks/device_seconds"].attrs["units"] in ("s", b"s")
    assert len(table["key"]) > 1 and (table["device_seconds"] > 0).all()
    assert (table["device_seconds"] <= 2 * os.cpu_count() * (table["wall_seconds"] + 0.05)).all()
    for file in folder.glob("units/*/*.h5"):
        with h5py.File(file) as unit:
            cost = json.loads(unit.attrs["cost"])
        assert cost["device_seconds"] == table["device_seconds"][[key.decode() for key in table["key"]].index(file.stem)]
