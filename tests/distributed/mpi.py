"""Starts a built program under mpirun on this machine and reads its JSON lines."""

import json
import os
import shutil
import subprocess
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
    return subprocess.Popen(command(ranks, *arguments), env=environment(**extra), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(ranks, *arguments, expect=0, **extra):
    """The JSON lines of all ranks; `expect` is the exit code."""
    done = subprocess.run(command(ranks, *arguments), env=environment(**extra), text=True, capture_output=True, timeout=120)
    assert done.returncode == expect, f"exit {done.returncode}, not {expect}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return lines(done.stdout)


def probe(ranks, verb, argument=None, **options):
    return run(ranks, program("probe_dist"), verb, json.dumps(argument or {}), **options)


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
