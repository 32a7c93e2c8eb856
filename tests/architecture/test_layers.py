"""The tree against its own rules: include directions, the only home of each library, tests that no suite runs, size."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from layer_table import FOLDERS, ROOT, includes, layer_of, read_layers, sources

LAYERS = read_layers()
HEADERS = {  # of the libraries that the table gives a home
    "nlohmann-json": r"nlohmann/.*",
    "spdlog": r"spdlog/.*",
    "OpenSSL": r"openssl/.*",
    "SentencePiece": r"sentencepiece.*",
    "PCRE2": r"pcre2\.h",
    "utf8proc": r"utf8proc\.h",
    "CLD2": r"cld2/.*",
    "MPI": r"mpi\.h",
    "HDF5": r"hdf5.*\.h",
    "zlib": r"zlib\.h",
    "CUDA": r"cuda.*\.h",
    "Boost.Program_options": r"boost/program_options.*",
}


def test_every_layer_is_in_the_table():
    rooms = {p.name for folder in ("pipeline", "stages") for p in (ROOT / folder).iterdir() if p.is_dir()}
    found = rooms | set(FOLDERS) - {"pipeline"}
    assert found == set(LAYERS), "CONTRIBUTING.md's table has a row for each folder"
    for layer in LAYERS.values():
        assert layer.may_use <= set(LAYERS) | {"LibTorch"}, f"{layer.name} may use what is no layer"
    homes = {library for layer in LAYERS.values() for library in layer.only_home_of}
    assert homes - set(HEADERS) == {"gnuplot", "jinja2"}, "a library needs the pattern of its headers (these are programs)"


def test_the_table_has_no_loop():
    """Each layer uses layers above it alone."""
    above = set()
    for layer in LAYERS.values():
        assert layer.may_use - {layer.name, "LibTorch"} <= above, f"{layer.name} uses what comes below it"
        above.add(layer.name)


def test_includes_follow_the_layers():
    wrong = []
    for file in sources():
        own = LAYERS[layer_of(file.relative_to(ROOT))]
        for include in includes(file):
            if include.split("/")[0] in FOLDERS and layer_of(include) not in own.may_use:
                wrong.append(f"{file.relative_to(ROOT)} includes {include}")
    assert not wrong, "\n".join(wrong)


def test_each_library_has_one_home():
    wrong = []
    for file in sources():
        own = LAYERS[layer_of(file.relative_to(ROOT))]
        for include in includes(file):
            for library, pattern in HEADERS.items():
                homes = [layer.name for layer in LAYERS.values() if library in layer.only_home_of]
                if re.fullmatch(pattern, include) and own.name not in homes:
                    wrong.append(f"{file.relative_to(ROOT)} includes {include}, which only {homes} may")
            if re.match(r"(torch|ATen|c10)/", include) and not own.uses_torch:
                wrong.append(f"{file.relative_to(ROOT)} includes {include}: {own.name} does not use LibTorch")
    assert not wrong, "\n".join(wrong)


def test_includes_give_the_full_path():
    wrong = [
        f"{file.relative_to(ROOT)}: {include}"
        for file in sources("pipeline", "stages", "analysis", "tests")
        for include in re.findall(r'#\s*include\s*"([^"]+)"', file.read_text())
        if not (ROOT / include).exists() and include not in ("core/build_info.hpp", "text/chat_script.hpp")  # CMake writes them
    ]
    assert not wrong, "\n".join(wrong)


def test_headers_compile_alone():
    """A header with a source file is that file's first include, so the build itself shows it; the others are compiled here
    (LibTorch's come precompiled as everywhere, so not those of its layers)."""
    wrong, alone = [], []
    for file in sources():
        if file.suffix != ".hpp":
            continue
        name = str(file.relative_to(ROOT))
        if not file.read_text().startswith("#pragma once"):
            wrong.append(f"{name}: begins with #pragma once")
        source = file.with_suffix(".cpp")
        if source.exists():
            if includes(source)[:1] != [name]:
                wrong.append(f"{source.relative_to(ROOT)}: its first include is {name}")
        elif not LAYERS[layer_of(file.relative_to(ROOT))].uses_torch:
            alone.append(name)
    assert alone and not wrong, "\n".join(wrong)
    command = ["c++", "-std=c++20", "-fsyntax-only", f"-I{ROOT}", "-x", "c++", "-"]

    def failure(name):
        done = subprocess.run(command, input=f'#include "{name}"\n', text=True, capture_output=True)
        return f"{name}\n{done.stderr[:600]}" if done.returncode else ""

    with ThreadPoolExecutor(max_workers=2) as pool:
        failures = [text for text in pool.map(failure, alone) if text]
    assert not failures, "\n".join(failures)


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
