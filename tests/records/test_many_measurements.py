#!/usr/bin/env python3
"""results.h5 with many measurements: what cmc_results reads is what was measured. With a number of rows, as a program, it says
how long that takes:

    tests/records/test_many_measurements.py 10000000
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import standalone  # noqa: E402

if __name__ == "__main__":
    standalone.need_packages("numpy", "pandas", "h5py")
BIN = standalone.need_programs("probe_records")

import numpy  # noqa: E402

sys.path.insert(0, str(standalone.SOURCE / "analysis/python"))
import cmc_results  # noqa: E402

SYSTEMS = 100  # half of them targets alone


def write(rows, folder):
    subprocess.run([BIN / "probe_records", "measure", str(rows), folder], check=True)
    return Path(folder) / "results.h5"


def means(rows):
    """{(target, method): mean}, computed here."""
    row = numpy.arange(rows)
    system, turned = row % SYSTEMS, 0.6180339887498949 * row
    values = turned - numpy.floor(turned)
    sums = numpy.bincount(system, values, SYSTEMS) / numpy.bincount(system, minlength=SYSTEMS)
    half = SYSTEMS // 2
    return {(f"target_{of % half}", "vanilla" if of < half else "cmc"): mean for of, mean in enumerate(sums)}


def check(frame, summary, rows):
    measured = frame[frame.metric == "rouge_l"]
    assert len(measured) == rows
    found = measured.groupby(["target", "method"], observed=True)["value"].mean()
    shown = summary[summary.metric == "rouge_l"].astype({"target": str, "method": str}).set_index(["target", "method"])["value"]
    wanted = means(rows)
    assert set(found.index) == wanted.keys() == set(shown.index)
    for system, mean in wanted.items():
        numpy.testing.assert_allclose([found[system], shown[system]], mean, rtol=1e-9)


def test_many_measurements(tmp_path):
    results = cmc_results.open(write(100_000, tmp_path))
    check(results.measurements(), results.summary(), 100_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        file = write(rows, folder)
        print(f"{rows} rows: written in {time.monotonic() - start:.1f} s, {file.stat().st_size / 1e6:.1f} MB")
        start = time.monotonic()
        frame = cmc_results.open(file).measurements()
        print(f"read in {time.monotonic() - start:.1f} s, {frame.memory_usage(deep=True).sum() / 1e9:.2f} GB as a data frame")
        start = time.monotonic()
        frame.groupby(["target", "method"], observed=True)["value"].mean()
        print(f"grouped by target and method in {time.monotonic() - start:.1f} s")
        check(frame, cmc_results.open(file).summary(), rows)
