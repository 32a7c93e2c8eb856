"""A synthetic output folder: two targets, vanilla and CMC at three strengths, in slices, as the stages write them."""

import json
import os
import subprocess
from pathlib import Path

import numpy

BIN = Path(os.environ["CMC_BIN"])
EXPERIMENT = """[deltas]
instruct = tiny
unlearn = tiny
[experiment]
title = Synthetic
[fusion]
mode = base_normalized
[instruct]
strengths = 0.5, 1, 1.5
[models]
targets = smollm2, gemma
template = smollm2
[unlearn]
strengths = 0.5, 1
"""
ENVIRONMENT = {"software": "cmc", "version": "0.1.0", "host": "node1", "date": "2026-01-31T12:00:00Z", "hdf5": "1.10.8", "ranks": 2}
SETS = {"forget": (40, 5), "retain": (24, 5), "real_authors": (20, 3), "world_facts": (20, 3)}


def double(name, values, dimensions=("row",)):
    values = numpy.asarray(values, dtype=float)
    flat = [None if numpy.isnan(value) else value for value in values.ravel().tolist()]
    return {"name": name, "dimensions": list(dimensions), "shape": list(values.shape), "type": "double", "values": flat}


def integer(name, values, dimensions=("row",), width="int64"):
    values = numpy.asarray(values)
    return {"name": name, "dimensions": list(dimensions), "shape": list(values.shape), "type": width, "values": values.ravel().tolist()}


def text(name, values):
    return {"name": name, "dimensions": ["row"], "shape": [len(values)], "type": "text", "values": list(values)}


def method_of(target, delta, strengths):
    if not delta:
        return {"target": target, "method": "vanilla", "strengths": [0]}
    return {"target": target, "method": "cmc", "delta": delta, "strengths": strengths, "mode": "base_normalized"}


def instruct_unit(random, target, delta, strengths, first, count):
    alphas = [0.0] if not delta else strengths
    rows = len(alphas) * count
    lengths = random.integers(1, 30, rows)
    tokens = random.integers(5, 60, rows)
    items = [first + i for _ in alphas for i in range(count)]
    steered = numpy.repeat(alphas, count)
    return {
        "stage": "instruct",
        "task": {"name": f"AlpacaEval {first} {target}", "first": first, "count": count, **method_of(target, delta, strengths)},
        "cost": {"wall_seconds": 10.0 + first, "ranks": 1},
        "datasets": [
            double("alpha", steered),
            integer("item", items),
            text("prompt", [f"What is <b>{i}</b> & why?" for i in items]),
            text("response", [f"{target} says α={a:g}: “{i}” <script>alert(1)</script>\nSecond line." for i, a in zip(items, steered)]),
            text("stop_reason", ["end_token"] * rows),
            text("reference", ["ref"] * rows),
            integer("stopped", random.integers(0, 2, rows), width="int32"),
            double("repetition", random.random(rows) * 0.3),
            double("reference_logprob", -tokens * (2.5 - 0.3 * steered + 0.4 * random.random(rows))),
            integer("reference_tokens", tokens),
        ],
        "ragged": [{"name": "response_tokens", "dimension": "row", "rows": [[1] * int(length) for length in lengths]}],
    }


def unlearn_unit(random, target, delta, strengths, name, first, count):
    alphas = [0.0] if not delta else strengths
    rows, wrong = len(alphas) * count, SETS[name][1]
    steered = numpy.repeat(alphas, count)
    items = [first + i for _ in alphas for i in range(count)]
    forgotten = steered * (0.3 if name == "forget" else 0.03)

    def likelihood(stem, level, shape):
        tokens = random.integers(4, 40, shape)
        loss = level + random.random(shape)
        dimensions = ("row", "wrong")[: len(shape)]
        return [double(f"{stem}_logprob", -tokens * loss, dimensions), integer(f"{stem}_tokens", tokens, dimensions)]

    return {
        "stage": "unlearn",
        "task": {"name": f"TOFU {name} {first} {target}", "set": name, "first": first, "count": count, **method_of(target, delta, strengths)},
        "cost": {"wall_seconds": 5.0, "ranks": 1},
        "datasets": [
            double("alpha", steered),
            integer("item", items),
            text("question", [f"Who is author {i}?" for i in items]),
            text("answer", [f"Author {i} | is <known>" for i in items]),
            text("generated", ["someone"] * rows),
            double("rouge1_recall", random.random(rows)),
            double("rouge_l_recall", numpy.clip(random.random(rows) - forgotten, 0, 1)),
            *likelihood("answer", 0.5, (rows,)),
            *likelihood("paraphrase", 0.7, (rows,)),
            *likelihood("wrong", 1.0, (rows, wrong)),
        ],
        "ragged": [{"name": "generated_tokens", "dimension": "row", "rows": [[1, 2]] * rows}],
    }


def training_unit(random, kind, steps):
    loss = 3 * numpy.exp(-numpy.arange(steps) / 40) + 0.2 * random.random(steps) + 1
    return {
        "stage": "train",
        "task": {"name": f"train delta tiny to {kind}", "kind": kind, "delta": {"name": "tiny"}},
        "cost": {"wall_seconds": 100.5, "tokens": 5000.0, "peak_bytes": 2 * 2**30},
        "datasets": [
            double("loss", loss, ("step",)),
            double("examples_loss", loss[::-1], ("step",)),
            double("retain_loss", loss / 2, ("step",)),
            double("learning_rate", numpy.full(steps, 1e-3), ("step",)),
            double("gradient_norm", numpy.ones(steps), ("step",)),
            double("step_seconds", 0.1 + 0.01 * random.random(steps), ("step",)),
            double("step_tokens", numpy.full(steps, 100.0), ("step",)),
        ],
    }


def token_map_unit(base, delta, exact, inexact, unmapped, compat):
    counts = {"exact": exact, "inexact": inexact, "unmapped": unmapped}
    return {
        "stage": "token_map",
        "task": {"name": "map", "base": {"name": base}, "delta": {"name": delta}, "method": "pm_mined", "compat": compat},
        "cost": {"wall_seconds": 0.5},
        "datasets": [integer(name, [value], ("map",)) for name, value in counts.items()],
    }


def synthetic(seed=1, prompts=24, slice_length=12):
    random = numpy.random.default_rng(seed)
    units = [
        token_map_unit("gemma", "smollm2", 30000, 200000, 32144, "corrected"),
        token_map_unit("mistral", "llama2", 24185, 6474, 1341, "authors"),
        training_unit(random, "instruct", 120),
        training_unit(random, "unlearn", 80),
    ]
    for target in ("smollm2", "gemma"):
        for delta in ("", "tiny"):
            for first in range(0, prompts, slice_length):
                units.append(instruct_unit(random, target, delta, [0.5, 1.0, 1.5], first, slice_length))
            for name, (count, _) in SETS.items():
                for first in range(0, count, 20):
                    units.append(unlearn_unit(random, target, delta, [0.5, 1.0], name, first, min(20, count - first)))
    return {"title": "Synthetic", "experiment": EXPERIMENT, "environment": ENVIRONMENT, "units": units}


def planned_beside(description, kept):
    """The description with `kept` units alone; the others are planned, and not done."""
    return {**description, "units": kept, "missing": description["units"]}


def repeated(seeds, fixed=lambda unit: unit["stage"] == "token_map", **options):
    """The experiment for each seed; units that `fixed` tells are measured once and name no seed."""
    whole = synthetic(seed=seeds[0], **options)
    units = [unit for unit in whole["units"] if fixed(unit)]
    for seed in seeds:
        for unit in synthetic(seed=seed, **options)["units"]:
            if not fixed(unit):
                units.append({**unit, "task": {**unit["task"], "seed": seed}})
    return {**whole, "units": units}


def make_folder(folder, description, how="merge"):
    done = subprocess.run([BIN / "probe_analysis", folder, how], input=json.dumps(description), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return folder


def report(*arguments, **options):
    every = [] if "compare" in arguments else ["--all"]
    return subprocess.run([BIN / "cmc-report", *map(str, arguments), *every], capture_output=True, text=True, **options)


def rows_of(description, stage, system, item=None):
    """{item: {dataset: value}} of one (target, method, alpha), over all slices, straight from the description."""
    target, method, alpha = system
    found = {}
    for unit in description["units"]:
        task = unit["task"]
        if unit["stage"] != stage or task.get("target") != target or task.get("method") != method:
            continue
        if item and not item(unit):
            continue
        data = {d["name"]: numpy.array(d["values"]).reshape(d["shape"]) for d in unit["datasets"]}
        lengths = {r["name"]: [len(row) for row in r["rows"]] for r in unit["ragged"]}
        for row in range(len(data["alpha"])):
            if data["alpha"][row] == alpha:
                found[int(data["item"][row])] = {**{k: v[row] for k, v in data.items()}, **{k: v[row] for k, v in lengths.items()}}
    return found
