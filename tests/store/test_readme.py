"""results/README.md: its Python examples run as they stand, and its schema version and seal length are the real ones."""

import os
import re
import subprocess
from pathlib import Path

import pytest

SOURCE, BIN = Path(os.environ["CMC_SOURCE"]), Path(os.environ["CMC_BIN"])
README = (SOURCE / "results/README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    for command in (["publish", folder, "a", "b"], ["publish_unlearn", folder, "c"], ["results", folder]):
        subprocess.run([BIN / "probe_store", *command], check=True)
    return folder


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(folder, code, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(compile(code, "README.md", "exec"), {})
    assert "cmc" in capsys.readouterr().out


def test_there_are_examples():
    assert len(EXAMPLES) == 2


def test_facts_are_those_of_the_source():
    schema = (SOURCE / "pipeline/store/schema.hpp").read_text()
    assert f'version = "{re.search(r"schema ([0-9.]+)", README)[1]}"' in schema
    seal = re.search(r"seal_length = (\d+)", (SOURCE / "pipeline/store/sealed_file.hpp").read_text())[1]
    assert set(re.findall(r"-c -?(\d+)", README)) == {seal}


def test_the_hand_check_works(folder):
    unit = next(folder.glob("units/*/*.h5"))
    content = subprocess.run(f"head -c -142 {unit} | sha256sum", shell=True, capture_output=True, text=True).stdout.split()[0]
    assert content in subprocess.run(["tail", "-c", "142", unit], capture_output=True, text=True).stdout
