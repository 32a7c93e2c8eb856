"""Runs of `cmc` that are interrupted: a rank that stops answering, a time limit within a training, changing numbers of ranks."""

import os
import signal
import subprocess
import time

import pytest

import support_pipeline as support
from support_pipeline import cmc, mpi, world  # noqa: F401


@pytest.fixture(scope="module")
def reference(world):
    root, experiment = world
    cmc("run", experiment, "--output", root / "undisturbed", ranks=2)
    return support.units(root / "undisturbed")


def start(ranks, experiment, folder, *options):
    command = mpi.command(ranks, mpi.program("cmc"), "run", str(experiment), "--output", str(folder), *options)
    return subprocess.Popen(command, env=mpi.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    assert what(), f"did not come within {seconds} s"


def process_of(job, rank):
    """The pid of a rank of a job on this machine."""
    for pid in subprocess.run(["pgrep", "-P", str(job.pid)], capture_output=True, text=True).stdout.split():
        with open(f"/proc/{pid}/environ", "rb") as environment:
            if f"OMPI_COMM_WORLD_RANK={rank}".encode() in environment.read().split(b"\0"):
                return int(pid)
    return None


def test_a_stopped_rank_is_named_and_its_work_done_by_others(world, reference):
    root, experiment = world
    folder = root / "frozen"
    job = start(3, experiment, folder, "--stall-seconds", "3")
    wait_for(lambda: (folder / "logs" / "run" / "rank-002.log").exists() and list(folder.glob("units/*/*.h5")))
    os.kill(process_of(job, 2), signal.SIGSTOP)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err[-3000:]
    assert "rank 2 does not answer" in err
    support.assert_same(reference, support.units(folder))
    assert "0 damaged" in cmc("verify", folder).stdout


def test_a_time_limit_within_a_training(world):
    """Legs that end too soon for the training alone: each goes on where the last one stopped."""
    root, experiment = world
    options = ["--only", "train", "--set", "train_instruct.epochs=900", "--set", "train_instruct.checkpoint_steps=0"]
    folder, straight = root / "limited", root / "straight"
    cmc("run", experiment, "--output", straight, *options)
    codes, kept = [], 0
    while 0 not in codes:
        assert len(codes) < 20, codes
        seconds = 2 + len(codes) / 2  # on a slow machine the first legs may not come as far as the training
        job = start(1 + len(codes) % 3, experiment, folder, "--time-limit", str(seconds), "--reserve", "0.1", *options)
        _, err = job.communicate(timeout=120)
        assert job.returncode in (0, 75), err[-3000:]
        codes.append(job.returncode)
        kept += bool(list(folder.glob("checkpoints/.*/*")))
    assert kept > 0, "no leg stopped within the training: the test checked nothing"
    assert " goes on behind step " in "".join(log.read_text() for log in folder.rglob("rank-*.log"))
    support.assert_same(support.units(straight), support.units(folder))


def test_every_leg_has_another_number_of_ranks(world, reference):
    """Stopped by USR2 as soon as there is something new; 8, 1, 4, 2 and 3 ranks by turns."""
    root, experiment = world
    folder, legs = root / "legs", 0
    for ranks in [8, 1, 4, 2, 3] * 4:
        before = len(list(folder.glob("units/*/*.h5")))
        job = start(ranks, experiment, folder)
        wait_for(lambda: len(list(folder.glob("units/*/*.h5"))) > before or job.poll() is not None)
        job.send_signal(signal.SIGUSR2)
        _, err = job.communicate(timeout=120)
        assert job.returncode in (0, 75), err[-3000:]
        legs += 1
        if job.returncode == 0:
            break
    cmc("run", experiment, "--output", folder)
    assert legs >= 2, "one leg did all: the test checked nothing"
    support.assert_same(reference, support.units(folder))
