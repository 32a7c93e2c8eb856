#!/usr/bin/env python3
"""How long a folder with many finished units takes: a resumed run's start, `cmc status`, the merge, `cmc verify`.

  tests/benchmark/large_store.py --units 10000 [--folder DIR]

Where `cmc` is built, the plan is one of tiny models (tests/stages) with about so many tasks, and all but a few of its units are made
up: each has the rows of a like unit of a small run. The start of `cmc run` is until its log tells that a task is at work. Without `cmc` the
store alone is measured."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import standalone  # noqa: E402

BIN = standalone.need_programs("probe_faults")
MISSING = 4  # tasks that a resumed run still has to do
TASKS_OF_A_SEED = 400
SETTINGS = {"instruct.unit_items": 1, "unlearn.unit_items": 1, "instruct.items": 12, "instruct.checked_items": 12, "unlearn.items": 12}


def told(what, seconds):
    print(f"{seconds:9.2f} s  {what}", flush=True)


def timed(what, *command):
    begin = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{what}: exit {done.returncode}\n{done.stderr[-2000:]}")
    told(what, time.monotonic() - begin)
    return done.stdout


def measure_store(folder, units):
    timed(f"publish {units} units (or find them)", BIN / "probe_faults", "units", folder, units)
    timed("start of a resumed run: abandoned files, finished units", BIN / "probe_faults", "scan", folder)
    timed("merge into results.h5", BIN / "probe_faults", "merge", folder, "large")


def make_plan(root, folder, units):
    """The arguments of `cmc run` for a plan of about so many tasks. All but MISSING of its units are made where they are not."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "stages"))
    import support_pipeline as support  # needs what the tests need
    experiment = support.make_world(root / "world")
    seeds = ",".join(str(seed) for seed in range(1, max(units // TASKS_OF_A_SEED, 1) + 1))
    arguments = [experiment, "--output", folder]
    for key, value in {**SETTINGS, "experiment.seed": seeds}.items():
        arguments += ["--set", f"{key}={value}"]
    tasks = json.loads(timed("cmc plan", BIN / "cmc", "plan", *arguments, "--json"))["tasks"]
    ready = [task["key"] for task in tasks if task["stage"] == "instruct" and not task["inputs"]][:MISSING]
    finished = root / "finished.json"
    finished.write_text(json.dumps({"tasks": [task for task in tasks if task["key"] not in ready]}))
    sample = ["--set", "experiment.seed=1", "--set", "instruct.items=1", "--set", "instruct.checked_items=1", "--set", "unlearn.items=1"]
    timed("a small run, whose rows the units get", BIN / "cmc", "run", experiment, "--output", root / "sample", *sample)
    timed(f"publish {len(tasks) - MISSING} units (or find them)", BIN / "probe_faults", "plan-units", folder, finished, root / "sample")
    return arguments, [folder / "units" / key[:2] / f"{key}.h5" for key in ready]


def start_run(what, folder, missing, command):
    """A run that has just begun its first task."""
    import support_pipeline as support
    log = folder / "logs" / "run" / "rank-000.log"
    log.unlink(missing_ok=True)
    for unit in missing:
        unit.unlink(missing_ok=True)
    begin = time.monotonic()
    run = subprocess.Popen(list(map(str, command)), env=support.mpi.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while run.poll() is None and not (log.exists() and "; now: " in log.read_text()):
        time.sleep(0.002)
    told(f"start of {what}, {MISSING} tasks to do", time.monotonic() - begin)
    return run


def measure_cmc(folder, units):
    with tempfile.TemporaryDirectory(prefix="cmc-world-") as root:
        arguments, missing = make_plan(Path(root), folder, units)
        import support_pipeline as support
        alone = [BIN / "cmc", "run", *arguments]
        for _ in range(3):
            run = start_run("cmc run", folder, missing, alone)
            run.kill()
            run.wait()
        timed("cmc status", BIN / "cmc", "status", folder)
        run = start_run("cmc run on 2 ranks", folder, missing, support.mpi.command(2, *alone))
        begin = time.monotonic()
        if run.wait() != 0:
            raise SystemExit(f"cmc run: exit {run.returncode}, see {folder}/logs")
        told("the rest of it, mostly the merge into results.h5", time.monotonic() - begin)
        timed("cmc status", BIN / "cmc", "status", folder)
        timed("cmc verify", BIN / "cmc", "verify", folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--folder", help="kept and used again; default: a temporary one")
    given = parser.parse_args()
    standalone.need_packages("torch", "transformers", "h5py")
    with tempfile.TemporaryDirectory(prefix="cmc-large-") as temporary:
        folder = Path(given.folder or temporary)
        (measure_cmc if (BIN / "cmc").exists() else measure_store)(folder, given.units)
        print(f"{(folder / 'results.h5').stat().st_size / 2**20:9.1f} MiB results.h5")


if __name__ == "__main__":
    main()
