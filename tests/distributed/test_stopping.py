"""How a run is asked to stop: USR2, INT once and twice, and a time limit."""

import json
import os
import signal
import subprocess
import time

import pytest

import distributed.mpi as mpi


def start_alone(tasks, **settings):
    """One rank without mpirun, which would take INT for itself; returns the process, whose first task runs."""
    command = [mpi.program("probe_distributed"), "run", json.dumps({"tasks": tasks, "watch": True, **settings})]
    process = subprocess.Popen(command, env=mpi.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert "pid" in process.stdout.readline()
    assert "ran" in process.stdout.readline()
    return process


def end(process):
    out, log = process.communicate(timeout=60)
    return process.returncode, mpi.lines(out), log


@pytest.mark.parametrize("name", ["SIGUSR2", "SIGINT", "SIGTERM"])
def test_a_signal_lets_the_running_task_end_and_starts_no_other(name):
    process = start_alone([{"key": str(i), "sleep": 0.5} for i in range(40)])
    process.send_signal(getattr(signal, name))
    code, lines, log = end(process)
    assert code == 75, log
    assert lines[-1]["outcome"]["stopped"] and lines[-1]["outcome"]["done"] == 1
    assert not any("ran" in line for line in lines)


def test_a_second_interrupt_ends_at_once():
    process = start_alone([{"key": str(i), "sleep": 600} for i in range(3)])
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # two signals on their way at once may arrive as one
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, lines, _ = end(process)
    assert code == 130 and not lines


@pytest.mark.parametrize("ranks", [1, 3])
def test_at_most_the_running_tasks_end_after_usr2(ranks):
    process = mpi.start(ranks, mpi.program("probe_distributed"), "run",
                        json.dumps({"tasks": [{"key": str(i), "sleep": 1} for i in range(60)], "watch": True}))
    pids = mpi.pids(process, ranks)
    os.kill(pids[0], signal.SIGUSR2)
    lines, _ = mpi.finish(process, expect=75)
    assert all(line["outcome"]["done"] <= 2 * ranks for line in lines if "outcome" in line)


def test_no_task_starts_that_does_not_fit_before_the_time_limit():
    tasks = [{"key": "long", "seconds": 1000}, {"key": "after", "inputs": ["long"]}, {"key": "short", "seconds": 1},
             {"key": "training", "seconds": 1000, "resumable": True}]
    lines = mpi.probe(2, "run", {"tasks": tasks, "time_limit": 60}, expect=75)
    assert {line["ran"] for line in lines if "ran" in line} == {"short", "training"}
    outcomes = [line["outcome"] for line in lines if "outcome" in line]
    assert all(outcome["stopped"] and set(outcome["not_run"]) == {"long", "after"} for outcome in outcomes)


def test_nothing_starts_when_time_is_up():
    lines = mpi.probe(2, "run", {"tasks": [{"key": "a"}, {"key": "b", "resumable": True}], "time_limit": 0}, expect=75)
    assert not any("ran" in line for line in lines)
