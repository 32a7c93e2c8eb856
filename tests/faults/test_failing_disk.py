"""Every call that publishing makes fails once, in every way a disk can fail: the folder then holds the old or the new
state, whole, the message names the file, and the same command afterwards succeeds and leaves no temporary."""

import shutil

import pytest
from support_faults import KILLED, fault, must, probe, temporaries

ERRORS = {"ENOSPC": "make space", "EIO": "check the"}
CALLS = ["write", "fsync", "rename", "open", "close", "mkdir"]
PUBLISH, MERGE, MODEL = ("publish", "a", "2"), ("merge", "new"), ("model",)


def ways(call):
    return [*ERRORS, "crash"] + (["EINTR"] if call in ("write", "fsync", "open", "close", "rename") else []) + \
        (["short"] if call == "write" else [])


def prepared(folder, command):
    """The old state."""
    if command != MODEL:
        must("publish", folder, "b", "1")
    if command == MERGE:
        must("publish", folder, "a", "2")
        must("merge", folder, "old")
    return must("state", folder) if folder.exists() else {"units": {}, "results": None, "model": []}


def run(command, folder, **options):
    return probe(command[0], folder, *command[1:], **options)


def check_failure(done, how, names):
    if how == "crash":
        assert done.returncode == KILLED
    else:
        assert done.returncode == 74, (done.returncode, done.stderr)
        assert any(name in done.stderr for name in names) and ERRORS[how] in done.stderr, done.stderr
        assert ".h5." not in done.stderr, "the file's own name, not its temporary's: " + done.stderr


def storm(tmp_path, command, call, how, names):
    """Injects at the 1st, 2nd, … call until the command makes fewer; gives how many calls that were."""
    template, clean = tmp_path / "template", tmp_path / "clean"
    template.mkdir()
    old = prepared(template, command)
    shutil.copytree(template, clean)
    assert run(command, clean).returncode == 0
    new = must("state", clean)
    assert new != old
    for nth in range(1, 100):
        folder, mark = tmp_path / f"run{nth}", tmp_path / f"mark{nth}"
        shutil.copytree(template, folder)
        done = run(command, folder, fault=fault(folder, call, nth, how, mark))
        if how in ("EINTR", "short") or not mark.exists():
            assert done.returncode == 0, done.stderr
            assert must("state", folder) == new
        else:
            check_failure(done, how, names)
            assert must("state", folder) in (old, new)
            assert how == "crash" or not temporaries(folder)
        again = run(command, folder)
        assert again.returncode == 0 and must("state", folder) == new, again.stderr
        must("clean", folder)
        assert not temporaries(folder)
        if not mark.exists():
            return nth - 1
    raise AssertionError("the command never ran undisturbed")


@pytest.mark.parametrize("call, how", [(call, how) for call in CALLS for how in ways(call)])
def test_a_unit_is_published_or_not(tmp_path, call, how):
    assert storm(tmp_path, PUBLISH, call, how, ["units"]) >= 1


@pytest.mark.parametrize("call, how", [(call, how) for call in CALLS if call != "mkdir" for how in ways(call)])
def test_results_are_the_old_or_the_new(tmp_path, call, how):
    assert storm(tmp_path, MERGE, call, how, ["results.h5", "units"]) >= 1


@pytest.mark.parametrize("call, how", [(call, how) for call in CALLS for how in ways(call)])
def test_a_models_folder_is_whole_or_absent(tmp_path, call, how):
    assert storm(tmp_path, MODEL, call, how, ["checkpoints"]) >= 1


@pytest.mark.parametrize("full_from", [1, 2, 4, 6])
def test_a_full_disk_stops_a_run_that_space_lets_end(tmp_path, full_from):
    """From some write on (one for each unit) all fail: 74; when there is space, the command ends with 0 and the same units."""
    whole, folder = tmp_path / "whole", tmp_path / "full"
    must("units", whole, 6)
    assert must("units", whole, 6) == {"made": 0}
    expected = must("state", whole)
    failed = probe("units", folder, 6, fault=fault(folder, "write", full_from, "ENOSPC", tmp_path / "mark", onward=True))
    assert failed.returncode == 74 and "units" in failed.stderr and "make space" in failed.stderr, failed.stderr
    kept = must("state", folder)["units"]
    assert kept.items() < expected["units"].items() and len(kept) == full_from - 1 and not temporaries(folder)
    assert must("units", folder, 6) == {"made": 6 - len(kept)}
    assert must("state", folder) == expected


def test_a_failed_clean_up_is_made_up_for(tmp_path):
    """Neither rename nor the removal of the temporary works: the next start removes it."""
    both = fault(tmp_path / "run", "unlink", 1, "EIO", tmp_path / "mark")
    blocker = tmp_path / "run" / "units"
    must("publish", tmp_path / "run", "a", "1")
    [unit] = blocker.glob("*/*.h5")
    unit.unlink()
    unit.mkdir()
    (unit / "in the way").touch()
    failed = probe("publish", tmp_path / "run", "a", "2", fault=both)
    assert failed.returncode in (73, 74) and unit.name in failed.stderr
    assert (tmp_path / "mark").exists() and len(temporaries(tmp_path)) == 1
    assert must("clean", tmp_path / "run") == {"removed": 1}
    assert not temporaries(tmp_path)
