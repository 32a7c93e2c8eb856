"""jobs/slurm on a real Slurm: stopped jobs queue themselves again until an experiment is complete, and equal to the plain run."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from support_cluster import ROOT, Cluster

sys.path.insert(0, str(ROOT / "tests" / "stages"))
import support_pipeline as support  # noqa: E402
from support_pipeline import world  # noqa: E402, F401

# Two targets, four strengths, some seconds of work.
SWEEP = {"models.targets": "small,other", "instruct.strengths": "0.25,0.5,1,1.5", "unlearn.strengths": "0.25,0.5,1,1.5",
         "instruct.items": 12, "unlearn.items": 12, "instruct.new_tokens": 120, "unlearn.new_tokens": 120,
         "train_instruct.epochs": 30, "train_unlearn.epochs": 30}
OPTIONS = [word for key, value in SWEEP.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def cluster():
    started = Cluster()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def reference(world):
    """Units of the plain mpirun."""
    root, experiment = world
    support.cmc("run", experiment, "--output", root / "plain", *OPTIONS, ranks=2)
    return support.units(root / "plain")


@pytest.fixture(scope="module")
def warned_by_time(cluster, world, reference):
    """(job, folder) of a job that Slurm itself warns: it is one minute long, and its ranks take 40 s to start, once.

    Slurm looks at warnings each half minute and may be that early, so this one comes in the job's first half minute. The job is
    submitted before the other tests, which run while it sleeps."""
    root, experiment = world
    slow = root / "slow_start.sh"
    slow.write_text('#!/bin/sh\n[ -n "$SLURM_RESTART_COUNT" ] || sleep 40\nexec "$@"\n')
    slow.chmod(0o755)
    folder = root / "warned"
    jobs = cluster.submit(experiment, "--output", folder, *OPTIONS, CMC_TIME="1", CMC_WARNING_SECONDS="30", CMC_CONTAINER=str(slow))
    return jobs[0], folder


def log_of(folder, job="*"):
    return "\n".join(file.read_text() for file in sorted(folder.glob(f"logs/slurm-{job}.out")))


def name_of(record):
    return f"{record['ArrayJobId']}_{record['ArrayTaskId']}" if "ArrayTaskId" in record else record["JobId"]


def warn_once_started(cluster, folder, record, seen):
    """Warns a running job once in each of its starts, when it has done something; `seen` counts its warnings."""
    name = name_of(record)
    if record["JobState"] != "RUNNING" or seen.get(name, 0) > int(record["Restarts"]):
        return
    # A start that has not written its line yet has no trap either: the warning would kill it.
    _, told, this_start = log_of(folder, name).rpartition(f"restart {record['Restarts']} of ")
    if told and "done " in this_start:
        cluster.call("scancel", "--signal=USR2", "--batch", name)
        seen[name] = int(record["Restarts"]) + 1


def wait_with_warnings(cluster, folder, job, times=2, timeout=150):
    """Records of a job in the end, warned in each of its first `times` starts: no other start may end in the queue."""
    seen, deadline = {}, time.monotonic() + timeout
    while True:
        records = cluster.records(job)
        if all(record["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT") for record in records):
            assert all(int(record["Restarts"]) <= seen.get(name_of(record), 0) for record in records), (seen, log_of(folder))
            return records
        assert time.monotonic() < deadline, f"{records}\n{log_of(folder)[-3000:]}"
        for record in records:
            if int(record["Restarts"]) < times:
                warn_once_started(cluster, folder, record, seen)
        time.sleep(0.05)


def restarts(records):
    return sum(int(record["Restarts"]) for record in records)


def assert_done(records, folder):
    ended = {(record["JobState"], record["ExitCode"]) for record in records}
    assert ended == {("COMPLETED", "0:0")}, f"{records}\n{log_of(folder)[-6000:]}"


def test_array_is_requeued_until_it_equals_the_plain_run(cluster, world, reference, warned_by_time):
    root, experiment = world
    folder = root / "sweep"
    needed, array, whole = cluster.submit(experiment, "--array", 2, "--output", folder, *OPTIONS)
    assert_done(wait_with_warnings(cluster, folder, needed, times=1), folder)
    trained = {file.stem for file in folder.glob("units/*/*.h5")}
    assert 0 < len(trained) < len(reference)
    records = wait_with_warnings(cluster, folder, array)
    assert_done(records, folder)
    assert len(records) == 2 and restarts(records) >= 2, log_of(folder, f"{array}_*")
    shards = log_of(folder, f"{array}_*")
    assert "warned by Slurm" in shards and "queued again" in shards
    assert "train delta" not in shards, "shards left training to the job before them"
    assert_done(cluster.wait(whole), folder)
    assert "nothing to do" in log_of(folder, whole)
    support.assert_same(reference, support.units(folder))
    assert {run.name for run in (folder / "logs").iterdir() if run.is_dir()} == {"run", "shard-0-of-2", "shard-1-of-2"}
    assert (folder / "report" / "index.html").exists()


def test_cancelled_job_is_not_requeued_and_submitting_again_goes_on(cluster, world, reference):
    root, experiment = world
    folder = root / "cancelled"
    job = cluster.submit(experiment, "--output", folder, *OPTIONS, CMC_NODES="2")[0]
    deadline = time.monotonic() + 60
    while not list(folder.glob("units/*/*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    cluster.call("scancel", job, expect=0)
    records = cluster.wait(job)
    assert records[0]["JobState"] == "CANCELLED" and restarts(records) == 0
    before = len(support.units(folder))
    assert 0 < before < len(reference)
    assert_done(cluster.wait(cluster.submit(experiment, "--output", folder, *OPTIONS, CMC_NODES="2")[0]), folder)
    support.assert_same(reference, support.units(folder))
    assert json.loads((folder / "environment.json").read_text())["ranks"] == 2


def test_srun_with_pmix_starts_ranks_of_one_job(cluster, world, reference):
    root, experiment = world
    folder = root / "srun"
    # The two nodes are one host, whose shared memory Open MPI would take for each node's own: TCP between ranks.
    job = cluster.submit(experiment, "--output", folder, *OPTIONS, CMC_LAUNCHER="srun", CMC_NODES="2", CMC_RANKS_PER_NODE="2",
                         OMPI_MCA_btl="self,tcp")[0]
    records = wait_with_warnings(cluster, folder, job, times=1)
    assert_done(records, folder)
    assert restarts(records) == 1, log_of(folder)
    assert json.loads((folder / "environment.json").read_text())["ranks"] == 4
    support.assert_same(reference, support.units(folder))


def test_srun_without_pmi_is_refused(cluster):
    refused = cluster.call("srun", "--ntasks=2", "--mpi=none", Path(os.environ["CMC_BIN"]) / "cmc", "doctor", expect=2)
    assert "srun --mpi=pmix" in refused.stderr


def test_bound_on_restarts_ends_with_75_and_names_what_is_missing(cluster, world):
    root, experiment = world
    folder = root / "bound"
    # The warning is as long as the job: no start has time for a task.
    job = cluster.submit(experiment, "--output", folder, *OPTIONS, CMC_TIME="1", CMC_WARNING_SECONDS="60", CMC_MAX_RESTARTS="1")[0]
    records = cluster.wait(job)
    assert [(record["JobState"], record["ExitCode"], record["Restarts"]) for record in records] == [("FAILED", "75:0", "1")]
    log = log_of(folder)
    plan = json.loads((folder / "plan.json").read_text())["tasks"]
    missing = [task["name"] for task in plan if not (folder / "units" / task["key"][:2] / f"{task['key']}.h5").exists()]
    assert missing and all(f"missing  {name}\n" in log for name in missing), log[-3000:]
    assert "CMC_MAX_RESTARTS" in log


def test_job_sees_the_gpus_it_asks_for(cluster, tmp_path):
    """The sbatch line of submit.sh is one that Slurm grants."""
    shown = cluster.call(ROOT / "jobs/slurm/submit.sh", "mini", "--dry-run", "--output", tmp_path, CMC_GPUS_PER_NODE="2",
                         CMC_CORES_PER_RANK="1", expect=0).stdout
    options = [word for word in shown.split() if word.startswith(("--nodes", "--ntasks", "--cpus", "--gpus", "--time"))]
    assert "--gpus-per-node=2" in options and "--ntasks-per-node=2" in options
    (tmp_path / "job.sh").write_text("#!/bin/sh\necho devices $CUDA_VISIBLE_DEVICES tasks $SLURM_NTASKS_PER_NODE\n")
    cluster.call("sbatch", "--wait", *options, f"--output={tmp_path}/out", tmp_path / "job.sh", expect=0)
    assert (tmp_path / "out").read_text() == "devices 0,1 tasks 2\n"


def test_slurms_own_warning_while_ranks_start_kills_nobody(cluster, reference, warned_by_time):
    job, folder = warned_by_time
    records = cluster.wait(job)
    assert_done(records, folder)
    first = log_of(folder).split("restart 1 ")[0]
    assert restarts(records) >= 1 and "warned by Slurm" in first and "queued again" in first, log_of(folder)[-3000:]
    support.assert_same(reference, support.units(folder))
