"""A tiny experiment over random checkpoints: every stage, two vocabularies, seconds to run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "decode"), str(HERE.parent / "distributed")]
import made_data  # noqa: E402
import mpi  # noqa: E402
import tiny_checkpoints as tiny  # noqa: E402

EXPERIMENT = """
[experiment]
title = Tiny
seed = 3
[models]
template = small
targets = small, large, other
[model.small]
path = {root}/small
[model.large]
path = {root}/large
[model.other]
path = {root}/other
[deltas]
instruct = d
unlearn = d
[delta.d]
hidden = 16
layers = 2
heads = 2
intermediate = 32
[data]
tofu = {root}/data/tofu
alpaca = {root}/data/alpaca.json
alpaca_eval = {root}/data/alpaca_eval.json
[compute]
device = cpu
batch = 4
[prepare]
epochs = 1
retain_items = 4
learning_rate = 1e-3
[train_instruct]
items = 8
epochs = 2
accumulation = 1
checkpoint_steps = 1
shares = 2
[train_unlearn]
forget = forget01
retain_items = 8
epochs = 1
checkpoint_steps = 2
[instruct]
items = 4
checked_items = 2
unit_items = 2
new_tokens = 6
strengths = 0.5, 1
[unlearn]
items = 3
unit_items = 2
new_tokens = 6
strengths = 1
"""


def make_world(root):
    """Checkpoints, data and experiment file under `root`; returns the experiment file."""
    root = Path(root)
    byte, other = tiny.byte_level_bpe(600), tiny.sentencepiece_bpe(900, dummy_prefix=True)
    tiny.write(root / "small", tiny.llama(byte[0].get_vocab_size(), 1), *byte)
    tiny.write(root / "large", tiny.llama(byte[0].get_vocab_size(), 2, hidden=48), *byte)
    tiny.write(root / "other", tiny.gemma(other[0].get_vocab_size(), 3), *other)
    data = root / "data"
    made_data.write_tofu(data / "tofu", keep=12)
    for name, items in [("alpaca", made_data.instructions(12)), ("alpaca_eval", made_data.evaluation_prompts(12))]:
        (data / f"{name}.json").write_text(json.dumps(items), encoding="utf-8")
    file = root / "tiny.ini"
    file.write_text(EXPERIMENT.format(root=root), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder, its experiment file), for the modules that import it."""
    root = tmp_path_factory.mktemp("world")
    return root, make_world(root)


def cmc(*arguments, ranks=None, expect=0, timeout=300):
    command = [mpi.program("cmc"), *map(str, arguments)]
    if ranks:
        command = mpi.command(ranks, *command)
    done = subprocess.run(command, env=mpi.environment(), text=True, capture_output=True, timeout=timeout)
    assert done.returncode == expect, f"exit {done.returncode}, not {expect}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return done


def options(settings):
    return [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]


def run_only(root, stages, settings):
    """(root, output, [(task, values)] of all units) of a run of these stages, and what they need, in a new world under `root`."""
    output = root / "run"
    cmc("run", make_world(root), "--output", output, *options(settings), "--only", stages)
    plan = {task["key"]: task for task in json.loads((output / "plan.json").read_text())["tasks"]}
    return root, output, [(plan[key], values) for key, values in units(output).items()]


def units(folder):
    """{key: {dataset: values}} of all published units."""
    found = {}
    for file in sorted(Path(folder).glob("units/*/*.h5")):
        values = {}
        with h5py.File(file) as unit:
            unit.visititems(lambda name, node: values.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None)
        found[file.stem] = values
    return found


UNTOLD = ("step_seconds",)  # times differ from run to run


def assert_same(first, second, tolerance=1e-5):
    assert first.keys() == second.keys() and first
    for key in first:
        assert first[key].keys() == second[key].keys()
        for name, values in first[key].items():
            if any(word in name for word in UNTOLD):
                continue
            values, others = np.asarray(values), np.asarray(second[key][name])
            if values.dtype.kind == "f":
                np.testing.assert_allclose(others, values, rtol=tolerance, atol=tolerance, err_msg=f"{key[:12]} {name}")
            else:
                assert np.array_equal(values, others), f"{key[:12]} {name}"


def copy_run(source, target):
    shutil.copytree(source, target)
    return target
