"""Killed, stopped and doubled runs of synthetic tasks: nothing is lost, nothing is done twice without need."""

import collections
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from storm import Run, Storm, finish, hashes, is_unharmed
from support_faults import BIN, temporaries

SEED, TASKS = 5, 40


def computed(folder):
    return collections.Counter((folder / "computed").read_text().split())


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    finish(folder, 1, SEED, TASKS, launcher=False)
    assert len(hashes(folder / "run")) == TASKS and set(computed(folder).values()) == {1}
    return folder


def check_same(folder, calm):
    assert hashes(folder / "run") == hashes(calm / "run")
    assert (folder / "run" / "results.h5").read_bytes() == (calm / "run" / "results.h5").read_bytes()
    assert not temporaries(folder)


def test_a_hundred_kills_lose_nothing():
    counts = Storm(seed=1).rage(kills=100)
    assert counts["kills"] >= 100 and counts["folders"] >= 1, counts
    assert is_unharmed(counts), json.dumps(counts)


@pytest.mark.parametrize("ranks", [(1, 1), (2, 2), (1, 3)])
def test_two_runs_at_once_do_each_task_once(ranks, tmp_path, calm):
    runs = [Run(tmp_path, count, SEED, TASKS, launcher=count > 1) for count in ranks]
    for run in runs:
        code, log = run.wait()
        assert code == 0, log
    check_same(tmp_path, calm)
    assert set(computed(tmp_path).values()) == {1}


def test_who_waits_takes_over_from_a_killed_run(tmp_path, calm):
    first, second = (Run(tmp_path, 1, SEED, TASKS, launcher=False) for _ in range(2))
    time.sleep(0.2)
    assert first.signal(first.ranks(), signal.SIGKILL) == 1, "it was at work"
    code, log = second.wait()
    assert code == 0, log
    check_same(tmp_path, calm)
    assert sum(computed(tmp_path).values()) <= TASKS + 1, "at most the task that died with its run is computed again"


def test_a_frozen_run_stops_no_other(tmp_path, calm):
    """A run that is stopped holds what it has claimed; another waits for it only so long, and both end well."""
    frozen = Run(tmp_path, 2, SEED, TASKS)
    pids = frozen.ranks()
    while not list(tmp_path.glob("run/units/*/*.h5")):
        time.sleep(0.01)
    frozen.signal(pids, signal.SIGSTOP)
    try:
        finish(tmp_path, 2, SEED, TASKS, patience=0.5)
        assert hashes(tmp_path / "run") == hashes(calm / "run"), "whole, while the other may hold a temporary"
    finally:
        frozen.signal(pids, signal.SIGCONT)
    code, log = frozen.wait()
    assert code == 0, log
    check_same(tmp_path, calm)


def rank_of(pid):
    settings = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    [rank] = [one.split(b"=")[1] for one in settings if one.startswith(b"OMPI_COMM_WORLD_RANK=")]
    return int(rank)


def test_a_silent_ranks_claim_stops_no_one_of_its_run(tmp_path, calm):
    run = Run(tmp_path, 3, SEED, TASKS, stall_seconds=1)
    pids = run.ranks()
    while not list(tmp_path.glob("run/units/*/*.h5")):
        time.sleep(0.005)
    silent = [pid for pid in pids if rank_of(pid) == 2]
    assert run.signal(silent, signal.SIGSTOP) == 1
    end = time.monotonic() + 60
    while len(hashes(tmp_path / "run")) < TASKS and time.monotonic() < end:
        time.sleep(0.05)
    found = len(hashes(tmp_path / "run"))
    run.signal(silent, signal.SIGCONT)
    code, log = run.wait()
    assert found == TASKS and code == 0, log
    check_same(tmp_path, calm)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, calm):
    run = Run(tmp_path, 3, SEED, TASKS)
    pids = run.ranks()
    for _ in range(5):
        run.signal(pids, signal.SIGSTOP)
        time.sleep(0.1)
        run.signal(pids, signal.SIGCONT)
        time.sleep(0.05)
    code, log = run.wait()
    assert code == 0, log
    check_same(tmp_path, calm)
    assert set(computed(tmp_path).values()) == {1}


def test_a_unit_that_is_damaged_later_is_named(tmp_path):
    """The storm's own measure works: a changed byte is seen."""
    finish(tmp_path, 1, SEED, 3, launcher=False)
    [first, *_] = sorted(tmp_path.glob("run/units/*/*.h5"))
    content = bytearray(first.read_bytes())
    content[500] ^= 1
    first.write_bytes(content)
    found = json.loads(subprocess.run([BIN / "probe_store", "verify", tmp_path / "run"], capture_output=True,
                                      text=True, check=True).stdout)
    assert [key for key, _ in found] == [first.stem]
