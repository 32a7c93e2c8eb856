#!/usr/bin/env python3
"""`cmc run` on two ranks over a disk that fills up: tmpfs of several sizes, so that it is full at different moments.

  tests/faults/full_disk.py [--sizes KiB,KiB,…]

Mounts in a namespace of its own: needs root or user namespaces, and leaves nothing behind. Each run must end with 74, name a file
and the remedy and leave no damaged unit; the disk then grows, and the same command must end with the units of an undisturbed run."""

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "stages")]
import standalone  # noqa: E402

if __name__ == "__main__":
    standalone.need_packages("torch", "transformers", "h5py")
standalone.need_programs("cmc")
import support_pipeline as support  # noqa: E402
from support_pipeline import mpi  # noqa: E402

INSIDE = "CMC_FULL_DISK_INSIDE"  # set in the namespace


def run(experiment, folder, ranks=2, **environment):
    command = mpi.command(ranks, mpi.program("cmc"), "run", str(experiment), "--output", str(folder))
    return subprocess.run(command, env=mpi.environment(**environment), text=True, capture_output=True, timeout=120)


def unwritten(log, folder):
    """The files below `folder` that an error or warning names as not written for want of space, in order."""
    found = re.findall(rf"{re.escape(str(folder))}/(\S+?): cannot [^\n]*No space left on device[^\n]*make space", log)
    return [re.sub(r"(^|/)\.([^/]+?)\.[^/]*\.tmp", r"\1\2", name) for name in found]


def check_failed(done, folder):
    """What a full disk left; gives the first file that could not be written, and the units that are there."""
    assert done.returncode == 74, f"exit {done.returncode}, not 74\n{done.stdout}\n{done.stderr[-4000:]}"
    files = unwritten(done.stderr, folder)
    assert files, f"no file and remedy in\n{done.stderr[-4000:]}"
    assert not list(Path(folder).rglob(".*.tmp")), "a temporary takes space"
    if Path(folder).exists():
        support.cmc("verify", folder)
    return files[0], support.units(folder)


def check_finishes(experiment, folder, kept, expected):
    done = run(experiment, folder)
    assert done.returncode == 0, f"exit {done.returncode} although there is space\n{done.stderr[-4000:]}"
    found = support.units(folder)
    if kept:
        support.assert_same(kept, {key: found[key] for key in kept})
    support.assert_same(expected, found)
    assert "0 damaged" in support.cmc("verify", folder).stdout and (Path(folder) / "results.h5").exists()


def moment_of(file):
    """When the disk was full, from the first file that it did not take."""
    if file.startswith("checkpoints/"):
        return "a training checkpoint" if "/step-" in file else "a trained model"
    return {"units": "a unit", "results.h5": "the merge", "logs": "between tasks"}.get(file.split("/")[0], "before the first task")


class SmallDisk:
    def __init__(self, folder, kib):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "cmc-full-disk", str(folder)], check=True)

    def resize(self, kib):
        subprocess.run(["mount", "-o", f"remount,size={kib}k", str(self.folder)], check=True)

    def used(self):
        """KiB"""
        free = os.statvfs(self.folder)
        return (free.f_blocks - free.f_bfree) * free.f_frsize // 1024

    def leave(self):
        subprocess.run(["umount", str(self.folder)], check=True)


def fill(root, experiment, kib, expected):
    """One disk of `kib`; gives what is printed of it and the moment."""
    disk = SmallDisk(root / f"disk-{kib}", kib)
    output = disk.folder / "out"
    begin = time.monotonic()
    file, kept = check_failed(run(experiment, output), output)
    seconds = time.monotonic() - begin
    disk.resize(64 << 10)
    check_finishes(experiment, output, kept, expected)
    disk.leave()
    return f"{kib:7d} KiB  exit 74 after {seconds:4.1f} s  {len(kept):3d} units kept  full at {file[:60]}", moment_of(file)


def fill_at_merge(root, experiment, expected):
    """All units are there, and space for a new plan.json, but not for results.h5."""
    disk = SmallDisk(root / "disk-merge", 64 << 10)
    output = disk.folder / "out"
    check_finishes(experiment, output, {}, expected)
    (output / "results.h5").unlink()
    disk.resize(disk.used() + (output / "plan.json").stat().st_size // 1024 + 16)
    file, kept = check_failed(run(experiment, output), output)
    assert file == "results.h5" and len(kept) == len(expected), file
    disk.resize(64 << 10)
    check_finishes(experiment, output, kept, expected)
    disk.leave()
    return f"{'at the merge':>11}  exit 74  {len(kept):3d} units kept  full at {file}", moment_of(file)


def usual_sizes(root, experiment):
    """From one page to nearly what the run needs, and what an undisturbed run makes."""
    disk = SmallDisk(root / "disk-calm", 64 << 10)
    done = run(experiment, disk.folder / "out")
    assert done.returncode == 0, done.stderr
    most, expected = disk.used(), support.units(disk.folder / "out")
    disk.leave()
    return sorted({4, 16, 64, *(most * i // 16 // 4 * 4 for i in range(1, 16))}), expected


def storm(sizes):
    moments = collections.Counter()  # the disk was full at …
    with tempfile.TemporaryDirectory(prefix="cmc-full-disk-") as temporary:
        root = Path(temporary)
        experiment = support.make_world(root / "world")
        usual, expected = usual_sizes(root, experiment)
        for trial in [*((fill, kib) for kib in sizes or usual), (fill_at_merge,)]:
            line, moment = trial[0](root, experiment, *trial[1:], expected)
            moments[moment] += 1
            print(line, flush=True)
    print(f"{sum(moments.values())} full disks, all ended with 74 and finished when there was space; of {len(expected)} units none was lost, "
          "damaged or different")
    for moment, count in moments.most_common():
        print(f"{count:7d}  {moment}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="", help="of the disks, in KiB, with commas")
    given = parser.parse_args()
    if INSIDE not in os.environ:
        namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        raise SystemExit(subprocess.run([*namespace, sys.executable, *sys.argv], env={**os.environ, INSIDE: "1"}).returncode)
    storm([int(size) for size in given.sizes.split(",") if size])


if __name__ == "__main__":
    main()
