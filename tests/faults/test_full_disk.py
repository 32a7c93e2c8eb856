"""`cmc run` on two ranks, of whose output folder nothing more can be written from some moment on, and then again."""

import shutil

import full_disk
import pytest
import support_pipeline as support
from support_faults import fault


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(experiment file, folder of an undisturbed run, its units)"""
    root = tmp_path_factory.mktemp("world")
    experiment = support.make_world(root / "world")
    assert full_disk.run(experiment, root / "calm").returncode == 0
    return experiment, root / "calm", support.units(root / "calm")


def full(tmp_path, call, nth, below="."):
    return fault(tmp_path / "out" / below, call, nth, "ENOSPC", tmp_path / "mark", onward=True)


@pytest.mark.parametrize("call, nth", [("write", 1), ("space", 1), ("write", 4), ("space", 8), ("write", 20), ("space", 60), ("write", 150)])
def test_a_full_disk_ends_a_run_that_space_lets_finish(world, tmp_path, call, nth):
    experiment, _, expected = world
    folder = tmp_path / "out"
    _, kept = full_disk.check_failed(full_disk.run(experiment, folder, **full(tmp_path, call, nth)), folder)
    assert len(kept) < len(expected)
    full_disk.check_finishes(experiment, folder, kept, expected)


@pytest.mark.parametrize("below, nth", [("checkpoints", 1), ("checkpoints", 40), ("units", 10)])
def test_what_cannot_be_stored_is_not_computed(world, tmp_path, below, nth):
    """After two failures in a row only what is at work ends; between trainings that fail, others succeed."""
    experiment, _, expected = world
    folder = tmp_path / "out"
    done = full_disk.run(experiment, folder, **full(tmp_path, "write", nth, below))
    file, kept = full_disk.check_failed(done, folder)
    assert file.startswith(below) and (below != "units" or done.stderr.count(" failed on rank ") <= 3), done.stderr
    full_disk.check_finishes(experiment, folder, kept, expected)


def test_a_log_is_not_worth_its_run(world, tmp_path):
    experiment, _, expected = world
    for nth, call in [(4, "space"), (3, "write")]:  # the first three: its folders and the lock
        folder = tmp_path / "out"
        done = full_disk.run(experiment, folder, **full(tmp_path, call, nth, "logs"))
        assert done.returncode == 0 and (tmp_path / "mark").exists(), done.stderr
        assert 1 <= done.stderr.count("no log: ") <= 2, "once for each rank: " + done.stderr
        support.assert_same(expected, support.units(folder))
        shutil.rmtree(folder)
        (tmp_path / "mark").unlink()


def test_a_disk_that_is_full_at_the_merge(world, tmp_path):
    """Every write that a run of finished units makes, up to results.h5."""
    experiment, calm, expected = world
    folder, files = tmp_path / "out", []
    for nth in range(1, 30):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(calm, folder)
        (folder / "results.h5").unlink()
        done = full_disk.run(experiment, folder, **full(tmp_path, "write", nth))
        if done.returncode == 0 and (folder / "results.h5").exists():
            break
        file, kept = full_disk.check_failed(done, folder)
        assert kept.keys() == expected.keys()
        files.append(file)
        (tmp_path / "mark").unlink()
    assert {"environment.json", "plan.json", "results.h5"} <= set(files), files
    full_disk.check_finishes(experiment, folder, expected, expected)
