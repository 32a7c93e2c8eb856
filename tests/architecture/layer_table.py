"""CONTRIBUTING.md's table of layers, which CMake reads too (pipeline/layers.cmake)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ["CMC_SOURCE"])
FOLDERS = ("pipeline", "stages", "analysis")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


@dataclass
class Layer:
    name: str
    may_use: set  # layers, itself included; "LibTorch"
    only_home_of: set  # libraries

    @property
    def uses_torch(self):
        return "LibTorch" in self.may_use


def read_layers():
    """{name: Layer} in the table's order."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    layers = {}
    for name, may_use, home_of in rows:
        words = set(may_use.split()) - {"—"}
        if "all" in words:
            words = words - {"all"} | set(layers)
        layers[name] = Layer(name, words | {name}, {one.strip() for one in home_of.split(",")} - {""})
    assert "core" in layers, "CONTRIBUTING.md has a table of layers"
    return layers


def sources(*folders):
    for folder in folders or FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".hpp", ".cpp", ".cu", ".cuh"):
                yield file


def layer_of(path):
    """pipeline/core/log.hpp → core, stages/verbs/run.cpp → verbs; stages/train.cpp → stages, analysis/plot.cpp → analysis"""
    parts = Path(path).parts
    return parts[1] if len(parts) > 2 and parts[0] in ("pipeline", "stages") else parts[0]


def includes(file):
    return INCLUDE.findall(file.read_text())
