"""run_plan under mpirun: synthetic plans on 1, 2, 3 and 4 ranks."""

import collections
import json
import os
import signal
import time

import pytest

import distributed.mpi as mpi

RANKS = [1, 2, 3, 4]


def outcome_of(lines, ranks):
    outcomes = [line["outcome"] for line in lines if "outcome" in line]
    assert len(outcomes) == ranks
    assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
    return outcomes[0]


def outcome_of_rank_0(lines):
    """Where a rank does not answer, rank 0 ends the job, and the others may or may not tell theirs before."""
    return next(line["outcome"] for line in lines if "outcome" in line and line["rank"] == 0)


def ran(lines):
    return [line for line in lines if "ran" in line]


def times(lines):
    return collections.Counter(line["ran"] for line in ran(lines))


@pytest.mark.parametrize("ranks", RANKS)
def test_each_task_runs_once_after_its_inputs(ranks):
    tasks = [{"key": f"first{i}", "sleep": 0.01 * (i % 3)} for i in range(12)]
    tasks += [{"key": f"second{i}", "inputs": [f"first{i}", f"first{(i + 5) % 12}"]} for i in range(12)]
    lines = mpi.probe(ranks, "run", {"tasks": tasks})
    assert times(lines) == {task["key"]: 1 for task in tasks}
    assert outcome_of(lines, ranks) == {"done": 24, "failed": [], "not_run": [], "stopped": False}


def test_every_rank_works():
    lines = mpi.probe(4, "run", {"tasks": [{"key": str(i), "sleep": 0.2} for i in range(8)]})
    assert {line["rank"] for line in ran(lines)} == {0, 1, 2, 3}


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_model_stays_where_it_is_loaded(ranks):
    tasks = [{"key": f"{model}{i}", "residency": model, "load_seconds": 100, "sleep": 0.01}
             for i in range(8) for model in "abc"]
    lines = mpi.probe(ranks, "run", {"tasks": tasks})
    holders = collections.defaultdict(set)
    for line in ran(lines):
        holders[line["residency"]].add(line["rank"])
    assert all(len(who) == 1 for who in holders.values()), holders
    assert outcome_of(lines, ranks)["done"] == 24


def test_finished_tasks_are_left_alone():
    tasks = [{"key": "a"}, {"key": "b", "inputs": ["a"]}]
    lines = mpi.probe(2, "run", {"tasks": tasks, "finished": ["a"]})
    assert times(lines) == {"b": 1}
    lines = mpi.probe(2, "run", {"tasks": tasks, "finished": ["a", "b"]})
    assert times(lines) == {}
    assert outcome_of(lines, 2)["done"] == 0


@pytest.mark.parametrize("ranks", RANKS)
def test_failures(ranks, tmp_path):
    tasks = [{"key": "bad", "fail": "always"}, {"key": "after", "inputs": ["bad"]}, {"key": "shaky", "fail": "once"},
             {"key": "later", "inputs": ["shaky"]}]
    lines = mpi.probe(ranks, "run", {"tasks": tasks, "folder": str(tmp_path)}, expect=1)
    assert times(lines) == {"bad": 2, "shaky": 2, "later": 1}
    assert outcome_of(lines, ranks) == {"done": 2, "failed": [{"key": "bad", "message": "told to fail"}],
                                        "not_run": ["after"], "stopped": False}
    if ranks > 1:
        for key in ("bad", "shaky"):
            assert len({line["rank"] for line in ran(lines) if line["ran"] == key}) == 2


@pytest.mark.parametrize("shares", [1, 4, 5])
def test_groups_sum_the_same_bits(shares):
    sums = set()
    for ranks in RANKS:
        tasks = [{"key": f"train{i}", "shares": shares, "sum": 70000, "seconds": 10} for i in range(4)]
        lines = mpi.probe(ranks, "run", {"tasks": tasks})
        assert outcome_of(lines, ranks)["done"] == 4
        sums.update(line["sum"] for line in ran(lines))
        for key, parts in times(lines).items():
            sizes = {line["group"] for line in ran(lines) if line["ran"] == key}
            assert sizes == {parts} and parts <= shares
    assert len(sums) == 1


def test_a_lone_training_takes_a_group():
    lines = mpi.probe(4, "run", {"tasks": [{"key": "train", "shares": 4, "sum": 10}]})
    assert sorted(line["group_rank"] for line in ran(lines)) == [0, 1, 2, 3]


@pytest.mark.parametrize("how", ["always", "once"])
def test_a_failure_in_a_group_releases_the_others(how, tmp_path):
    tasks = [{"key": "train", "shares": 3, "fail": how, "fail_rank": 0}, {"key": "other", "sleep": 0.2}]
    lines = mpi.probe(3, "run", {"tasks": tasks, "folder": str(tmp_path)}, expect=1 if how == "always" else 0)
    outcome = outcome_of(lines, 3)
    assert outcome["done"] == (1 if how == "always" else 2)
    assert [one["message"] for one in outcome["failed"]] == (["told to fail"] if how == "always" else [])


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_a_tensor_parallel_group_keeps_its_ranks(ranks):
    tasks = [{"key": f"large{i}", "tensor_parallel": 2, "residency": "large", "sum": 1000, "seconds": 10, "load_seconds": 100}
             for i in range(6)]
    tasks += [{"key": str(i), "sleep": 0.02} for i in range(6)]
    lines = mpi.probe(ranks, "run", {"tasks": tasks})
    assert outcome_of(lines, ranks)["done"] == 12
    together = [line for line in ran(lines) if line["residency"] == "large"]
    assert len(together) == 12 and {line["group"] for line in together} == {2}
    assert len({(line["rank"], line["group_rank"]) for line in together}) == 2


def test_a_tensor_parallel_group_is_made_anew_after_a_failure(tmp_path):
    tasks = [{"key": f"large{i}", "tensor_parallel": 2, "residency": "large", "fail": "once", "fail_rank": i % 2} for i in range(4)]
    lines = mpi.probe(3, "run", {"tasks": tasks, "folder": str(tmp_path)})
    assert outcome_of(lines, 3)["done"] == 4


def test_a_tensor_parallel_group_larger_than_every_node_is_refused():
    mpi.probe(2, "run", {"tasks": [{"key": "large", "tensor_parallel": 3}]}, expect=65)


@pytest.mark.parametrize("hosts", [["a", "b", "a", "b"], ["a", "a", "b", "b"], ["a", "b", "b", "b"]])
def test_blocks_of_a_pipeline_lie_one_after_the_other_on_their_hosts(hosts):
    tasks = [{"key": f"large{i}", "pipeline_parallel": 2, "tensor_parallel": 1 + (hosts.count("a") > 1), "residency": "large",
              "sum": 1000, "seconds": 10, "load_seconds": 100} for i in range(5)]
    tasks += [{"key": str(i), "sleep": 0.02} for i in range(6)]
    lines = mpi.probe(4, "run", {"tasks": tasks, "hosts": hosts})
    assert outcome_of(lines, 4)["done"] == 11
    size = 2 * tasks[0]["tensor_parallel"]
    together = {(line["group_rank"], line["rank"]) for line in ran(lines) if line["residency"] == "large"}
    assert len(together) == size, "the same ranks at the same places for all tasks"
    places = [hosts[rank] for _, rank in sorted(together)]
    assert places == (["a", "a", "b", "b"] if size == 4 else ["b", "b"]), "on one host where it has room"


@pytest.mark.parametrize("hosts", [["a", "b", "a", "b"], ["a", "a", "b", "b", "b"]])
def test_shares_go_to_several_groups_that_lie_one_after_the_other(hosts):
    tasks = [{"key": "large", "tensor_parallel": 2, "shares": 4, "sum": 1000, "seconds": 100}, {"key": "next", "inputs": ["large"]}]
    lines = mpi.probe(len(hosts), "run", {"tasks": tasks, "hosts": hosts})
    assert outcome_of(lines, len(hosts))["done"] == 2
    together = [line for line in ran(lines) if line["ran"] == "large"]
    assert len(together) == 4 and {line["group"] for line in together} == {4} and len({line["sum"] for line in together}) == 1
    places = [hosts[line["rank"]] for line in sorted(together, key=lambda line: line["group_rank"])]
    assert places == ["a", "a", "b", "b"]


def test_blocks_that_no_hosts_hold_are_refused():
    task = {"key": "large", "pipeline_parallel": 2, "tensor_parallel": 2}
    mpi.probe(4, "run", {"tasks": [task], "hosts": ["a", "b", "b", "b"]}, expect=65)


def test_a_task_that_stops_ends_the_run():
    tasks = [{"key": "stops", "stop": True, "seconds": 100}] + [{"key": str(i), "sleep": 0.05} for i in range(60)]
    lines = mpi.probe(2, "run", {"tasks": tasks}, expect=75)
    outcome = outcome_of(lines, 2)
    assert outcome["stopped"] and "stops" in outcome["not_run"] and not outcome["failed"]
    assert outcome["done"] + len(outcome["not_run"]) == 61


@pytest.mark.parametrize("to", ["mpirun", "rank 1"])
def test_usr2_stops_at_the_next_task(to):
    tasks = [{"key": str(i), "sleep": 0.2} for i in range(200)]
    process = mpi.start(3, mpi.program("probe_distributed"), "run", json.dumps({"tasks": tasks, "watch": True}))
    pids = mpi.pids(process, 3)
    time.sleep(0.5)
    os.kill(process.pid if to == "mpirun" else pids[1], signal.SIGUSR2)
    outcome = outcome_of(mpi.finish(process, expect=75)[0], 3)
    assert outcome["stopped"] and 0 < outcome["done"] < 200
    assert outcome["done"] + len(outcome["not_run"]) == 200


def test_a_killed_worker_ends_the_job():
    tasks = [{"key": str(i), "sleep": 60} for i in range(9)]
    process = mpi.start(3, mpi.program("probe_distributed"), "run", json.dumps({"tasks": tasks, "watch": True}))
    try:
        os.kill(mpi.pids(process, 3)[1], signal.SIGKILL)
        assert process.wait(timeout=50) != 0
    finally:
        process.kill()
        process.communicate()


def start_watched(ranks, tasks, **settings):
    argument = json.dumps({"tasks": tasks, "watch": True, "stall_seconds": 0.5, **settings})
    process = mpi.start(ranks, mpi.program("probe_distributed"), "run", argument)
    return process, mpi.pids(process, ranks)


def test_a_silent_rank_is_named_and_works_again():
    process, pids = start_watched(3, [{"key": str(i), "sleep": 1.5} for i in range(9)], stall_seconds=1)
    time.sleep(0.3)
    os.kill(pids[2], signal.SIGSTOP)
    time.sleep(2.5)
    os.kill(pids[2], signal.SIGCONT)
    lines, log = mpi.finish(process)
    assert "rank 2 is silent" in log and "rank 2 is back" in log
    assert "rank 1 is silent" not in log
    assert outcome_of(lines, 3)["done"] == 9
    assert sum(line["rank"] == 2 for line in ran(lines)) >= 2  # what it had, and more after it was back
    assert all(count <= 2 for count in times(lines).values())


def test_a_job_that_slept_loses_nobody():
    # It sleeps longer than a rank may be silent; that is more than a busy machine lets a rank wait for a core.
    process, pids = start_watched(3, [{"key": str(i), "sleep": 1.5} for i in range(9)], stall_seconds=4)
    time.sleep(1)
    for which in (signal.SIGSTOP, signal.SIGCONT):
        for pid in pids.values():
            os.kill(pid, which)
        time.sleep(6.5 if which == signal.SIGSTOP else 0)
    lines, log = mpi.finish(process)
    assert "does not answer" not in log and outcome_of(lines, 3)["done"] == 9


@pytest.mark.parametrize("size", [1, 2])
def test_a_stopped_ranks_work_is_done_elsewhere_and_the_run_ends(size):
    tasks = [{"key": str(i), "sleep": 0.4, "tensor_parallel": size, "residency": "m" if size > 1 else ""} for i in range(12)]
    process, pids = start_watched(3, tasks)
    time.sleep(0.9)
    os.kill(pids[2 if size == 1 else 1], signal.SIGSTOP)
    lines, log = mpi.finish(process, timeout=60)
    assert f"rank {2 if size == 1 else 1} does not answer" in log
    outcome = outcome_of_rank_0(lines)
    assert outcome["done"] == 12 and not outcome["failed"] and not outcome["not_run"]
    assert len({line["ran"] for line in ran(lines) if "taken_over" in line}) == 1


def test_a_rank_that_stops_when_all_is_done_is_not_waited_for():
    process, pids = start_watched(3, [{"key": str(i), "sleep": 0.1 + i} for i in range(3)])
    time.sleep(1.5)  # ranks 0 and 1 have ended their tasks
    os.kill(pids[1], signal.SIGSTOP)
    lines, log = mpi.finish(process, timeout=60)
    assert "rank 1 does not answer" in log
    assert outcome_of_rank_0(lines)["done"] == 3


def test_many_groups_come_and_go(tmp_path):
    tasks = []
    for i in range(60):
        tasks.append({"key": f"train{i}", "shares": 2 + i % 3, "sum": 5000, "seconds": 1 + i % 4,
                      "inputs": [f"train{i - 2}"] if i >= 2 else []})
        if i % 6 == 0:
            tasks[-1].update({"fail": "once", "fail_rank": 0})
        tasks.append({"key": f"eval{i}", "inputs": [f"train{i}"], "residency": f"model{i % 3}", "sleep": 0.005,
                      "seconds": 0.1})
    lines = mpi.probe(4, "run", {"tasks": tasks, "folder": str(tmp_path)})
    assert outcome_of(lines, 4)["done"] == 120
    sums = collections.defaultdict(set)
    for line in ran(lines):
        if "sum" in line:
            sums[int(line["ran"][5:]) % 3].add(line["sum"])
    assert sorted(sums) == [0, 1, 2] and all(len(one) == 1 for one in sums.values())
    assert sum(line["group"] > 1 for line in ran(lines)) > 60
