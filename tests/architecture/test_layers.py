"""The tree against its own rules: include directions, the only home of each library, tests that no suite runs, size."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(os.environ["CMC_SOURCE"])

# CONTRIBUTING.md, "Layers". A layer may include itself and these.
MAY_USE = {
    "core": set(),
    "text": {"core"},
    "data": {"core"},
    "metrics": {"core"},
    "distributed": {"core"},
    "store": {"core"},
    "kernels": {"core"},
    "checkpoint": {"core"},
    "token_map": {"core", "text"},
    "model": {"core", "kernels", "checkpoint", "distributed"},
    "fusion": {"core", "kernels", "text", "token_map", "model"},
    "decode": {"core", "text", "fusion", "model"},
    "train": {"core", "text", "data", "distributed", "model", "fusion"},
}
TORCH_LAYERS = {"checkpoint", "model", "fusion", "decode", "train", "stages"}
# library header → the only folder that may include it
ONLY_HOME = {
    r"mpi\.h": "pipeline/distributed",
    r"cuda.*\.h": "pipeline/kernels",
    r"hdf5.*\.h": "pipeline/store",
    r"sentencepiece.*": "pipeline/text",
    r"pcre2\.h": "pipeline/text",
    r"utf8proc\.h": "pipeline/text",
    r"openssl/.*": "pipeline/core",
    r"boost/program_options.*": "stages",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def sources(*folders):
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".hpp", ".cpp"):
                yield file


def layer_of(path):
    parts = Path(path).parts
    return parts[1] if parts[0] == "pipeline" else parts[0]


def test_every_layer_is_known():
    found = {p.name for p in (ROOT / "pipeline").iterdir() if p.is_dir()}
    assert found == set(MAY_USE), "a new layer needs a line in MAY_USE and in CONTRIBUTING.md"


def test_includes_follow_the_layers():
    wrong = []
    for file in sources("pipeline", "analysis", "stages"):
        own = layer_of(file.relative_to(ROOT))
        allowed = {
            "analysis": {"analysis", "core", "store", "metrics"},
            "stages": {"stages", *MAY_USE},
        }.get(own, MAY_USE.get(own, set()) | {own})
        for include in INCLUDE.findall(file.read_text()):
            if include.split("/")[0] in ("pipeline", "stages", "analysis") and layer_of(include) not in allowed:
                wrong.append(f"{file.relative_to(ROOT)} includes {include}")
    assert not wrong, "\n".join(wrong)


def test_each_library_has_one_home():
    wrong = []
    for file in sources("pipeline", "analysis", "stages"):
        name = file.relative_to(ROOT).as_posix()
        for include in INCLUDE.findall(file.read_text()):
            for pattern, home in ONLY_HOME.items():
                if re.fullmatch(pattern, include) and not name.startswith(home + "/"):
                    wrong.append(f"{name} includes {include}, which only {home} may")
            if re.match(r"(torch|ATen|c10)/", include) and layer_of(name) not in TORCH_LAYERS:
                wrong.append(f"{name} includes {include}: LibTorch starts at the checkpoint layer")
    assert not wrong, "\n".join(wrong)


def test_includes_give_the_full_path():
    wrong = [
        f"{file.relative_to(ROOT)}: {include}"
        for file in sources("pipeline", "stages", "analysis", "tests")
        for include in re.findall(r'#\s*include\s*"([^"]+)"', file.read_text())
        if not (ROOT / include).exists() and include != "core/build_info.hpp"
    ]
    assert not wrong, "\n".join(wrong)


def test_headers_compile_alone():
    """Each header in one translation unit of its own; LibTorch's come precompiled as everywhere."""
    light, torch = [], []
    for file in sources("pipeline", "stages", "analysis"):
        if file.suffix == ".hpp":
            text = file.read_text()
            assert text.startswith("#pragma once"), f"{file}: begins with #pragma once"
            (torch if layer_of(file.relative_to(ROOT)) in TORCH_LAYERS else light).append(file)
    failures = []
    for file in light:
        unit = f'#include "{file.relative_to(ROOT)}"\n'
        done = subprocess.run(
            ["c++", "-std=c++20", "-fsyntax-only", f"-I{ROOT}", "-x", "c++", "-"], input=unit, text=True, capture_output=True
        )
        if done.returncode:
            failures.append(f"{file.relative_to(ROOT)}\n{done.stderr[:600]}")
    assert not failures, "\n".join(failures)
    assert light and torch


def test_no_test_file_is_left_out():
    """CMake globs tests/<folder>/{*_test.cpp,probe.cpp,test_*.py}: any other name must be a helper that one of them uses."""
    suites = (ROOT / "tests/CMakeLists.txt").read_text()
    files = [f for f in sorted((ROOT / "tests").rglob("*")) if f.suffix in (".cpp", ".py") and "benchmark" not in f.parts]
    files = [f for f in files if "__pycache__" not in f.parts]
    texts = {f: f.read_text() for f in files}
    wrong = []
    for file in files:
        name = file.name
        runs = name.endswith("_test.cpp") or name == "probe.cpp" or (name.startswith("test_") and file.suffix == ".py")
        used = any(re.search(rf"(import|from) +{file.stem}\b", text) for f, text in texts.items() if f != file)
        built = file.suffix == ".cpp" and re.search(rf"\b{re.escape(name)}", suites)
        if not (runs or used or built or name == "conftest.py"):
            wrong.append(f"{file.relative_to(ROOT)}: no suite runs or imports it")
        if not re.search(rf"\b{file.parent.name}\b", suites):
            wrong.append(f"{file.relative_to(ROOT)}: tests/CMakeLists.txt does not know {file.parent.name}")
    assert files and not wrong, "\n".join(wrong)


def test_files_stay_small():
    long = [
        f"{file.relative_to(ROOT)}: {count} lines"
        for file in sources("pipeline", "stages", "analysis", "tests")
        if (count := len(file.read_text().splitlines())) > 500
    ]
    assert not long, "look for the two things inside:\n" + "\n".join(long)


def test_nothing_names_this_machine_or_open_ends():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert listed, "git must list the tree"
    pattern = re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b|not implemented|/work/|/root/|/opt/cmc", re.IGNORECASE)
    wrong = []
    for name in listed:
        file = ROOT / name
        if name.startswith("tests/architecture/") or not file.is_file() or file.suffix in (".png", ".svg", ".h5"):
            continue
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                wrong.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not wrong, "\n".join(wrong)
