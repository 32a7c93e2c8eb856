"""jobs/slurm/submit.sh --dry-run: what it asks Slurm for, and how ranks are started. Needs no Slurm."""

import os
import subprocess
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
