"""One or several results.h5 as data frames. A figure that was not measured is NaN; an empty text does not apply."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

SYSTEM = ["target", "method", "delta", "mode", "map_method", "unmapped", "top", "gate", "gate_threshold", "alpha", "seed"]


def _column(dataset):
    return dataset.asstr()[:] if h5py.check_string_dtype(dataset.dtype) else dataset[:]


SINCE = {"gate": "", "gate_threshold": 0.0}  # fields of a system that earlier files do not have, and what they meant


def _frame(group):
    """A group of results.h5 with columns along one dimension; its index is not a column."""
    frame = pd.DataFrame({name: _column(dataset) for name, dataset in group.items() if dataset.attrs.get("role") != "index"})
    if "unmapped" not in frame or SINCE.keys() <= set(frame):
        return frame
    return frame.assign(**SINCE)


def _named(codes, names):
    """Codes as a categorical of what they stand for: as small as they are."""
    names = pd.Index(names)
    if names.is_unique:
        return pd.Categorical.from_codes(codes, names)
    unique = pd.Index(names.unique())
    return pd.Categorical.from_codes(unique.get_indexer(names)[codes], unique)


class Results:
    """`files`: {name: path}. With several, every frame has a column `file`."""

    def __init__(self, files):
        self._files = files
        for path in files.values():
            with h5py.File(path) as file:
                version = str(file.attrs["schema_version"])
                if version.split(".")[0] != "2":
                    raise ValueError(f"{path}: schema {version} has no tables, only cmc-report reads it; run its experiment again")

    def _of_each(self, read):
        frames = []
        for name, path in self._files.items():
            with h5py.File(path) as file:
                frame = read(file)
            frames.append(frame if len(self._files) == 1 else frame.assign(file=name))
        if len(frames) == 1:
            return frames[0]
        whole = pd.concat(frames, ignore_index=True)
        return whole.assign(file=pd.Categorical(whole["file"], list(self._files)))

    def systems(self):
        """What was evaluated: a row a system. seed -1: it stands for all seeds, or is over them. target "": all systems."""
        return self._of_each(lambda file: _frame(file["systems"]))

    def tasks(self):
        """A row a finished task: what it is and what it cost."""
        return self._of_each(lambda file: _frame(file["tasks"]))

    def plan(self):
        """A row a task that was asked for; `done` where it is in the file."""
        return self._of_each(lambda file: _frame(file["plan"]))

    def metrics(self):
        """What is measured: name, unit, definition, direction, how values become a figure."""
        return self._of_each(lambda file: _frame(file["metrics"]))

    def _coded(self, name, file):
        """A table whose `system`, `set` and `metric` are codes, with the system's fields in their place."""
        table = _frame(file[name])
        systems, sets, metrics = (_frame(file[each]) for each in ("systems", "sets", "metrics"))
        codes = table.pop("system").to_numpy()
        fields = {}
        for field in SYSTEM:
            values = systems[field].to_numpy()
            fields[field] = _named(codes, values) if values.dtype == object else values[codes]
        table["set"] = _named(table["set"].to_numpy(), sets["name"])
        table["metric"] = _named(table["metric"].to_numpy(), metrics["name"])
        return pd.concat([pd.DataFrame(fields), table], axis=1)

    def measurements(self):
        """Every value, long form: the system's fields, set, metric, item, value (in the metric's unit)."""
        columns = [*SYSTEM, "set", "metric", "item", "value"]
        return self._of_each(lambda file: self._coded("measurements", file)[columns])

    def summary(self):
        """The report's figures: the system's fields, set, metric, value, standard_error, n, seeds, seed_deviation, unit,
        definition. Of several seeds: each seed's, and with seed -1 the mean over them or what was measured once for all."""

        def read(file):
            table = self._coded("summary", file)
            metrics = _frame(file["metrics"]).set_index("name")
            for field in ("unit", "definition"):
                table[field] = metrics[field].reindex(table["metric"].astype(str)).to_numpy()
            columns = [*SYSTEM, "set", "metric", "value", "standard_error", "n", "seeds", "seed_deviation", "unit", "definition"]
            return table[columns]

        return self._of_each(read)

    def _units(self, file, stage, columns):
        tasks = _frame(file["tasks"])
        frames = []
        for task in tasks[tasks.stage == stage].itertuples():
            unit = file[task.group]
            rows = pd.DataFrame({name: _column(unit[name]) for name in columns if name in unit})
            labels = {name: getattr(task, name) for name in SYSTEM if name != "alpha"}
            frames.append(rows.assign(**labels, set=task.set))
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*columns, *SYSTEM, "set"])

    def responses(self):
        """What was generated: a row a system, set and item, with prompt and response."""

        def read(file):
            instruct = self._units(file, "instruct", ["alpha", "item", "prompt", "response", "reference", "stop_reason"])
            ifeval = self._units(file, "ifeval", ["alpha", "item", "prompt", "response", "stop_reason", "instruction_ids"])
            unlearn = self._units(file, "unlearn", ["alpha", "item", "question", "generated", "answer"])
            unlearn = unlearn.rename(columns={"question": "prompt", "generated": "response", "answer": "reference"})
            frames = [frame for frame in (instruct, ifeval, unlearn) if len(frame)]
            return pd.concat(frames, ignore_index=True) if frames else instruct

        return self._of_each(read)

    def shifts(self):
        """{(file, reference, other, seed): Dataset}: logit shifts (nat) along (step, top), with the prompt and the number of each
        step. An xarray.Dataset where xarray is installed, else a dict of arrays."""
        found = {}
        for name, path in self._files.items():
            with h5py.File(path) as file:
                for unit in file.get("similarity", {}).values():
                    task = json.loads(unit.attrs["task"])
                    key = (name, task["reference"]["name"], task["other"]["name"], int(unit.attrs["seed"]))
                    found[key] = _shift_dataset(unit)
        return found


def _shift_dataset(unit):
    shifts = {name: unit[f"shift_{name}"][:] for name in ("reference", "same", "different")}
    steps = {"item": unit["step_item"][:], "number": unit["step_number"][:]}
    try:
        import xarray
    except ImportError:
        return {**shifts, **steps}
    coordinates = {name: ("step", values) for name, values in steps.items()}
    data = {name: (("step", "top"), values, {"units": "nat"}) for name, values in shifts.items()}
    return xarray.Dataset(data, coordinates)


def open(*paths):
    """`paths`: results.h5 files, or output folders that hold one. Several are told apart by their folder's name."""
    files = {}
    for path in map(Path, paths):
        file = path / "results.h5" if path.is_dir() else path
        if not file.exists():
            raise FileNotFoundError(f"{file}: there is no such results.h5; cmc run writes it when it ends")
        name = file.resolve().parent.name
        files[name if name not in files else str(file)] = file
    if not files:
        raise ValueError("give the path of a results.h5")
    return Results(files)
