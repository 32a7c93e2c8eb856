"""results/README.md: its Python examples run as they stand, and its schema version and seal length are the real ones."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from support_results import make_folder, synthetic

SOURCE, BIN = Path(os.environ["CMC_SOURCE"]), Path(os.environ["CMC_BIN"])
README = (SOURCE / "results/README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("run") / "run", synthetic())


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(folder, code, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(SOURCE / "analysis/python")
    exec(compile(code, "README.md", "exec"), {})
    assert "cmc" in capsys.readouterr().out


def test_there_are_examples():
    assert len(EXAMPLES) == 3


def test_facts_are_those_of_the_source():
    schema = (SOURCE / "pipeline/store/schema.hpp").read_text()
    assert f'version = "{re.search(r"schema ([0-9.]+)", README)[1]}"' in schema
    seal = re.search(r"seal_length = (\d+)", (SOURCE / "pipeline/store/sealed_file.hpp").read_text())[1]
    assert set(re.findall(r"-c -?(\d+)", README)) == {seal}


def test_table_of_datasets_is_what_stages_write():
    """Every column of every stage is in the table, in a row of its stage; and nothing else is."""
    written = json.loads(subprocess.run([BIN / "probe_records", "columns"], check=True, capture_output=True, text=True).stdout)
    table = README.split("| stage | rows | main datasets |")[1].split("\n\n")[0]
    told, stages = {}, []
    for line in table.splitlines()[2:]:
        stage, _, datasets = (cell.strip() for cell in line.strip("|").split("|"))
        stages = re.findall(r"`(\w+)`", stage) or stages
        for name in stages:
            told.setdefault(name, set()).update(re.findall(r"`(\w+)`", datasets))
    assert told == {stage: {column["name"] for column in columns} for stage, columns in written.items()}


def test_the_hand_check_works(folder):
    unit = next(folder.glob("units/*/*.h5"))
    content = subprocess.run(f"head -c -142 {unit} | sha256sum", shell=True, capture_output=True, text=True).stdout.split()[0]
    assert content in subprocess.run(["tail", "-c", "142", unit], capture_output=True, text=True).stdout
