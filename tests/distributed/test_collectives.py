"""Session and collectives under mpirun on 1, 2, 3 and 4 ranks."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

import distributed.mpi as mpi

RANKS = [1, 2, 3, 4]


@pytest.mark.parametrize("ranks", RANKS)
def test_session_knows_its_ranks(ranks):
    lines = mpi.probe(ranks, "info")
    assert sorted(line["rank"] for line in lines) == list(range(ranks))
    for line in lines:
        assert line["size"] == line["ranks_on_node"] == ranks
        assert line["rank_on_node"] == line["rank"]
        assert line["hosts"] == [socket.gethostname()] * ranks
        assert line["threads"] == 1  # OMP_NUM_THREADS


def test_unbound_ranks_divide_the_cores():
    environment = mpi.environment()
    environment.pop("OMP_NUM_THREADS")
    done = subprocess.run(mpi.command(2, mpi.program("probe_distributed"), "info"), env=environment, text=True, capture_output=True,
                          check=True, timeout=60)
    for line in mpi.lines(done.stdout):
        assert line["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_that_wait_lend_their_cores(ranks):
    lines = mpi.probe(ranks, "cores")
    allowed = len(os.sched_getaffinity(0))
    assert [line["computing"] for line in lines] == [1] * ranks
    assert [line["alone"] for line in lines if line["rank"] == 0] == [max(1, min(ranks, allowed))]
    assert not list(Path("/dev/shm").glob("cmc-cores-*"))


def test_one_process_without_mpirun():
    done = subprocess.run([mpi.program("probe_distributed"), "sum", '{"shares": 4, "length": 100000}'], text=True,
                          capture_output=True, check=True, timeout=60)
    assert mpi.lines(done.stdout)[0]["sums"] == mpi.probe(3, "sum", {"shares": 4, "length": 100000})[0]["sums"]


@pytest.mark.parametrize("shares, length", [(1, 1), (4, 1000), (5, 65536), (6, 300001)])
def test_ordered_sum_has_the_same_bits_everywhere(shares, length):
    sums = set()
    for ranks in RANKS:
        for line in mpi.probe(ranks, "sum", {"shares": shares, "length": length, "repeat": 3}):
            sums.update(line["sums"])
    assert len(sums) == 1


@pytest.mark.parametrize("ranks", [2, 3])
def test_waiting_burns_no_core(ranks):
    seconds = 2
    for line in mpi.probe(ranks, "wait", {"seconds": seconds}):
        assert line["barrier"] < 0.1 * seconds, line
        assert line["plan"] < 0.1 * seconds, line


@pytest.mark.parametrize("failing", [0, 1])
def test_an_exception_on_one_rank_ends_the_job_with_its_code(failing):
    begin = time.monotonic()
    mpi.probe(3, "fail", {"rank": failing}, expect=65)
    assert time.monotonic() - begin < 30


def test_a_killed_rank_ends_the_job():
    process = mpi.start(3, mpi.program("probe_distributed"), "hang")
    try:
        os.kill(mpi.pids(process, 3)[2], signal.SIGKILL)
        assert process.wait(timeout=60) != 0
    finally:
        process.kill()
        process.communicate()
