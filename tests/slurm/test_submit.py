"""jobs/slurm without a Slurm: what submit.sh --dry-run asks for, how ranks are started, and what a job makes of exit codes."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(os.environ["CMC_SOURCE"])


def submit(*arguments, expect=0, **settings):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CMC_")}
    done = subprocess.run([ROOT / "jobs/slurm/submit.sh", *map(str, arguments)], env={**clean, **settings}, text=True, capture_output=True)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout.splitlines() if expect == 0 else done.stderr


def test_gpus_give_ranks_and_devices():
    job, ranks = submit("paper", "--dry-run", CMC_GPUS_PER_NODE="4", CMC_NODES="2", CMC_TIME="12:00:00")
    for option in ("--gpus-per-node=4", "--ntasks-per-node=4", "--nodes=2", "--time=12:00:00", "--signal=B:USR2@300"):
        assert option in job.split(), option
    assert "mpirun --map-by ppr:4:node" in ranks


def test_without_gpus_none_are_asked_for():
    job, ranks = submit("paper", "--dry-run", CMC_RANKS_PER_NODE="3", CMC_CORES_PER_RANK="8", CMC_SBATCH_OPTIONS="-p cpu -A me")
    assert "gpus" not in job and "--cpus-per-task=8" in job and " -p cpu -A me " in job
    assert "ppr:3:node" in ranks


def test_array_waits_for_what_shards_need_and_ends_in_one_report():
    needed, array, whole, _ = submit("mini", "--dry-run", "--array", 5, "--set", "experiment.seed=1,2")
    assert "--only" in needed and "--array" not in needed and "run.sbatch" in needed
    assert "--array=0-4" in array and "afterok:" in array and "sweep.sbatch" in array and "--only" not in array
    assert "afterany:" in whole and "--only" not in whole and "run.sbatch" in whole
    for line in (needed, array, whole):
        assert line.count("--set experiment.seed=") == 1 and str(ROOT / "jobs/experiments/mini.ini") in line


def test_container_and_srun_are_part_of_the_line():
    _, ranks = submit("mini", "--dry-run", CMC_LAUNCHER="srun", CMC_CONTAINER="apptainer exec --nv cmc.sif", CMC_RANKS_PER_NODE="2")
    assert "srun --mpi=pmix --ntasks-per-node=2" in ranks and "apptainer exec --nv cmc.sif" in ranks and "mpirun" not in ranks


def test_settings_come_from_the_file_that_is_named(tmp_path):
    settings = tmp_path / "site.sh"
    settings.write_text((ROOT / "jobs/slurm/settings.sh").read_text().replace("CMC_NODES:=1", "CMC_NODES:=7"))
    job, _ = submit("mini", "--dry-run", CMC_SLURM_SETTINGS=str(settings))
    assert "--nodes=7" in job


@pytest.mark.parametrize("arguments, code, words", [
    ((), 2, "usage"), (("nothing_of_this_name",), 66, "mini"), (("mini", "--array", "0"), 2, "--array 0"),
    (("mini", "--array", "2", "--only", "train"), 2, "--only"), (("mini", "--shard", "0/2"), 2, "--array"),
    (("mini", "--reserve", "9"), 2, "CMC_WARNING_SECONDS")])
def test_wrong_arguments_say_what_to_do(arguments, code, words):
    assert words in submit(*arguments, expect=code)


@pytest.fixture
def made_commands(tmp_path):
    """A folder for PATH with an mpirun that ends with CODE as soon as it is warned, or WARNED=no at once, and a scontrol that notes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "mpirun": 'trap "exit $CODE" USR2\ntouch "$HERE/started"\n[ "$WARNED" = yes ] || exit $CODE\nwhile :; do sleep 0.05; done\n',
        "scontrol": 'echo "$@" >> "$HERE/queued"\n', "squeue": "exit 1\n",
    }.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}")
        (folder / name).chmod(0o755)
    return folder


# Open MPI 4 that srun starts daemons for ends with 244 where it is warned before they run, else with 1 or 128 + the signal's number.
@pytest.mark.parametrize("code, warned, ends, queued", [
    (244, True, 75, True), (1, True, 75, True), (140, True, 75, True), (75, True, 75, True), (0, True, 0, False), (78, True, 78, False),
    (1, False, 1, False), (78, False, 78, False), (75, False, 75, True)])
def test_what_a_warning_ends_is_queued_again(tmp_path, made_commands, code, warned, ends, queued):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CMC_", "SLURM_"))}
    environment.update(PATH=f"{made_commands}:{os.environ['PATH']}", HERE=str(tmp_path), CODE=str(code), SLURM_JOB_ID="7",
                       WARNED="yes" if warned else "no", CMC_BIN="/nowhere")
    job = subprocess.Popen(["bash", "jobs/slurm/run.sbatch", "some.ini", tmp_path / "out"], cwd=ROOT, env=environment, text=True,
                           stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while warned and not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    if warned:
        job.send_signal(signal.SIGUSR2)
    told = job.communicate(timeout=60)[1]
    assert job.returncode == ends, told
    assert (tmp_path / "queued").exists() == queued, told
    assert ("warned by Slurm" in told) == warned
