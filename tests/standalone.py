"""Test scripts that are also programs: started from anywhere with nothing set, each finds what was built and its own modules, or says
in one line what is missing (exit code 66)."""

import importlib.util
import os
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
MISSING = 66


class Missing(SystemExit):
    """One line on stderr, and the exit code."""

    def __init__(self, what, remedy):
        print(f"{what} is missing: {remedy}", file=sys.stderr)
        super().__init__(MISSING)


def need_packages(*names, requirements="jobs/requirements-test.txt"):
    """Goes on in the virtual environment's Python where this one lacks a package of these."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    python = Path(os.environ.get("CMC_VENV") or SOURCE / ".venv") / "bin" / "python"
    if not absent:
        return
    if python.exists() and Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])
    raise Missing(f"the Python package {absent[0]}", f"{sys.executable} -m pip install -r {requirements}, or jobs/setup.sh --tests")


def need_programs(*names):
    """The folder of the built programs: CMC_BIN, else build/release/bin. Tests ask for the same variables."""
    folder = Path(os.environ.setdefault("CMC_BIN", str(SOURCE / "build" / "release" / "bin")))
    os.environ.setdefault("CMC_SOURCE", str(SOURCE))
    for name in names:
        if not (folder / name).exists():
            raise Missing(str(folder / name), "jobs/build.sh test builds it, or CMC_BIN names its folder")
    return folder
