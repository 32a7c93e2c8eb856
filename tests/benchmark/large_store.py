"""How long a folder with many finished units takes: a resumed run's start, `cmc status`, the merge, `cmc verify`.

  CMC_BIN=build/release/bin python3 tests/benchmark/large_store.py --units 10000 [--folder DIR]

The units are small ones of the test suite (12 datasets each). `cmc` itself is measured where it is built."""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

BIN = Path(os.environ["CMC_BIN"])


def timed(what, *command):
    begin = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise SystemExit(f"{what}: exit {done.returncode}\n{done.stderr[-2000:]}")
    print(f"{seconds:9.2f} s  {what}", flush=True)
    return done.stdout


def write_plan(folder):
    """The plan of a run whose tasks are these units."""
    tasks = [{"key": file.stem, "stage": "instruct", "name": f"task {i}", "parameters": {"name": f"task {i}", "alpha": 0.5}, "inputs": [],
              "residency": "model", "seconds": 1.0, "bytes": 0, "shares": 1} for i, file in enumerate(sorted(folder.glob("units/*/*.h5")))]
    (folder / "plan.json").write_text(json.dumps({"tasks": tasks}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--folder", help="kept and used again; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cmc-large-") as temporary:
        folder = Path(given.folder or temporary)
        timed(f"publish {given.units} units (or find them)", BIN / "probe_faults", "units", folder, given.units)
        write_plan(folder)
        timed("start of a resumed run: abandoned files, finished units", BIN / "probe_faults", "scan", folder)
        if (BIN / "cmc").exists():
            timed("cmc status", BIN / "cmc", "status", folder)
        timed("merge into results.h5", BIN / "probe_faults", "merge", folder, "large")
        if (BIN / "cmc").exists():
            timed("cmc verify", BIN / "cmc", "verify", folder)
        print(f"{(folder / 'results.h5').stat().st_size / 2**20:9.1f} MiB results.h5")


if __name__ == "__main__":
    main()
