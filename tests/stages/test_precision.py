"""compute.dtype = bfloat16: frozen models are halved, adapters and deltas stay float32 and learn the same."""

import json
from pathlib import Path

import h5py
import numpy as np

import support_pipeline as support
from support_pipeline import cmc

OPTIONS = ["--only", "train,adapt", "--set", "methods.instruct=vanilla, lora, cmc", "--set", "adapt_instruct.epochs=2",
           "--set", "adapt_instruct.lora_dropout=0", "--set", "adapt_instruct.accumulation=1"]


def losses(folder):
    """Of every training, by the task's name: its key holds the type of numbers."""
    found = {}
    for file in Path(folder).glob("units/*/*.h5"):
        with h5py.File(file) as unit:
            if "loss" in unit:
                found[json.loads(unit.attrs["task"])["name"]] = unit["loss"][()]
    return found


def test_adapters_beside_a_base_in_bfloat16(tmp_path):
    experiment = support.make_world(tmp_path)
    found = {}
    for dtype in ("float32", "bfloat16"):
        cmc("run", experiment, "--output", tmp_path / dtype, *OPTIONS, "--set", f"compute.dtype={dtype}")
        found[dtype] = losses(tmp_path / dtype)
    assert found["float32"].keys() == found["bfloat16"].keys() and len(found["float32"]) >= 5
    changed = 0
    for name, exact in found["float32"].items():
        np.testing.assert_allclose(found["bfloat16"][name], exact, rtol=0.03)
        changed += not np.array_equal(found["bfloat16"][name], exact)
    assert changed > 0, "nothing was computed in bfloat16"
