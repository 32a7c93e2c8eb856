"""Starts a built program under mpirun on this machine and reads its JSON lines.

mpirun forwards what ranks write in pieces, so that long lines of two ranks can mix on its own stdout: lines are read from
the file that it writes for each rank."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def program(name):
    folder = os.environ.get("CMC_BIN")
    assert folder, "CMC_BIN names the folder of the built programs; run the tests through ctest or set it"
    path = Path(folder) / name
    assert path.exists(), f"{path} is missing: build the target {name}"
    return str(path)


def command(ranks, *arguments):
    assert shutil.which("mpirun"), "mpirun is missing: install Open MPI (openmpi-bin)"
    return ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", *arguments]


def environment(**extra):
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **root, **extra}


def start(ranks, *arguments, **extra):
    """A running job; its `outputs` is the folder of what its ranks write."""
    outputs = tempfile.TemporaryDirectory(prefix="cmc-ranks-")
    kept = ["--output-filename", outputs.name]
    process = subprocess.Popen(command(ranks, *kept, *arguments), env=environment(**extra), text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.outputs = outputs  # lives as long as the process object
    return process


def finish(process, expect=0, timeout=120):
    """(JSON lines of all ranks, log); `expect` is the exit code."""
    try:
        out, log = process.communicate(timeout=timeout)
    finally:
        process.kill()
    assert process.returncode == expect, f"exit {process.returncode}, not {expect}\n{out[-2000:]}\n{log[-4000:]}"
    return [line for file in sorted(Path(process.outputs.name).glob("*/rank.*/stdout")) for line in lines(file.read_text())], log


def run(ranks, *arguments, expect=0, **extra):
    """The JSON lines of all ranks."""
    return finish(start(ranks, *arguments, **extra), expect)[0]


def probe(ranks, verb, argument=None, **options):
    return run(ranks, program("probe_distributed"), verb, json.dumps(argument or {}), **options)


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def pids(process, ranks):
    """{rank: pid} of a job whose ranks each begin with a (short) line that tells theirs."""
    found = {}
    while len(found) < ranks:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        found.update({one["rank"]: one["pid"] for one in lines(line) if "pid" in one})
    return found
