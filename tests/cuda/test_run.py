"""The checks for a machine with a GPU, tried on the CPU against itself: the script works, and what fails is told."""

import json
import os
import stat
from pathlib import Path

import pytest

import run

BIN = Path(os.environ["CMC_BIN"])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(exit code, the table's rows, logs) of the small form, as the script gathers them."""
    logs = tmp_path_factory.mktemp("logs")
    rows = []
    add = run.Checks.add

    def remembered(self, check, status, detail=""):
        rows.append((check, status, detail))
        return add(self, check, status, detail)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.Checks, "add", remembered)
        patch.setenv("OMP_NUM_THREADS", "1")
        code = run.main(["--bin", str(BIN), "--device", "cpu", "--small", "--logs", str(logs), "--seconds", "900"])
    return code, rows, logs


def test_all_of_it_passes_against_itself(small):
    code, rows, logs = small
    assert code == 0, [row for row in rows if row[1] not in ("passed", "measured")]
    passed = [check for check, status, _ in rows if status == "passed"]
    assert "cmc doctor" in passed and "small world, float32" in passed and "two ranks on one device" in passed
    for group in ["logits, ", "fused logits, ", "texts of refilled slots", "scores, ", "training, "]:
        assert sum(check.startswith(group) for check in passed) >= 2, group
    assert any(check.startswith("tiny: decode") for check, status, _ in rows if status == "measured")
    assert json.loads((logs / "bench-tiny.json").read_text())["shape"] == "tiny"


def test_the_same_world_on_the_same_device_gives_the_same_figures(small):
    detail = next(row[2] for row in small[1] if row[0] == "small world, float32" and row[1] == "passed")
    assert "0.0000 at most" in detail


def program(folder, name, text):
    file = folder / name
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def outcome(tmp_path, capsys, probe, cmc="exit 0", seconds="60"):
    """Exit code and output where the programs do this."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "probe_cuda", probe)
    for name in ("cmc", "cmc-report", "mpirun"):
        program(folder, name, cmc)
    code = run.main(["--bin", str(folder), "--device", "cpu", "--small", "--logs", str(tmp_path / "logs"), "--seconds", seconds])
    return code, capsys.readouterr().out


def test_a_check_that_fails_is_told(tmp_path, capsys):
    code, told = outcome(tmp_path, capsys, "echo '{\"check\": \"logits, x\", \"passed\": false, \"worst\": 0.5, \"allowed\": 0.1}'; exit 1")
    assert code == 1 and "FAILED" in told and "0.5 (allowed 0.1)" in told


def test_a_program_that_dies_is_told(tmp_path, capsys):
    code, told = outcome(tmp_path, capsys, "kill -SEGV $$")
    assert code == 1 and "FAILED    probe logits  exit -11" in told


def test_a_probe_that_checks_nothing_is_told(tmp_path, capsys):
    code, told = outcome(tmp_path, capsys, "exit 0")
    assert code == 1 and "FAILED    probe logits  exit 0 after 0 checks" in told


def test_what_no_time_is_left_for_is_told(tmp_path, capsys):
    code, told = outcome(tmp_path, capsys, "exit 0", seconds="1")
    assert code == 1 and "not run   probe logits  no time left" in told
