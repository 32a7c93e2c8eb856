#!/usr/bin/env python3
"""Kills ranks of runs at random moments until many have died, and holds what is left against an undisturbed run.

  tests/faults/storm.py --kills 1000 --seed 1

Runs of synthetic tasks (synthetic_run.hpp) on 1 to 4 ranks publish units into one folder; ranks are killed (-9), whole runs
are stopped and go on; each run starts where the last one ended, until all tasks are done. Then a new folder begins."""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import standalone  # noqa: E402

import distributed.mpi as mpi  # noqa: E402

KILL = signal.SIGKILL


def parents():
    """{pid: parent's pid} of every process that is there."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        found[int(stat.parent.name)] = int(text[text.rindex(")") + 2:].split()[1])
    return found


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).glob("units/*/*.h5")}


class Run:
    """One start of the program over `folder`; 1 rank is started without mpirun half of the time."""

    def __init__(self, folder, ranks, seed, tasks, launcher=True, **settings):
        told = {"folder": str(folder / "run"), "seed": seed, "tasks": tasks, "computed": str(folder / "computed"), **settings}
        program = [mpi.program("probe_faults"), "run", json.dumps(told)]
        self.launched, self.count = launcher, ranks
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(mpi.command(ranks, *program) if launcher else program, env=mpi.environment(),
                                        stdout=subprocess.DEVNULL, stderr=self.log)

    def ranks(self, timeout=20):
        """The ranks' pids, as soon as all are there; fewer when the run ends before."""
        end = time.monotonic() + timeout
        while self.launched and time.monotonic() < end:
            children = [pid for pid, parent in parents().items() if parent == self.process.pid]
            if len(children) == self.count or self.process.poll() is not None:
                return children
            time.sleep(0.003)
        return [self.process.pid]

    def signal(self, pids, number):
        """How many of them still were there."""
        sent = 0
        for pid in pids:
            if self.process.poll() is None:
                try:
                    os.kill(pid, number)
                    sent += 1
                except ProcessLookupError:
                    pass
        return sent

    def end(self, patience=5):
        """Waits for a run whose ranks were killed. Open MPI's mpirun sometimes misses the death of a rank and waits for ever;
        as a batch system would, kill the rest then. True when that was needed."""
        try:
            self.process.wait(timeout=patience)
            return False
        except subprocess.TimeoutExpired:
            children = [pid for pid, parent in parents().items() if parent == self.process.pid]
            self.signal([*children, self.process.pid], KILL)
            return True

    def wait(self, timeout=120):
        code = self.process.wait(timeout=timeout)
        self.log.seek(0)
        return code, self.log.read().decode(errors="replace")


def finish(folder, ranks, seed, tasks, **settings):
    code, log = Run(folder, ranks, seed, tasks, **settings).wait()
    assert code == 0, (code, log)


class Storm:
    def __init__(self, seed, tasks=30):
        self.random, self.seed, self.tasks = random.Random(seed), seed, tasks
        self.counts = {"kills": 0, "runs": 0, "runs killed": 0, "runs stopped and continued": 0, "launchers that hung": 0, "folders": 0, "units": 0,
                       "unreadable units": 0, "lost or changed units": 0, "results that differ": 0, "temporaries left": 0}

    def weather(self, run):
        """Lets a run live for a while; maybe stops it for a moment; kills some of its ranks. False: it ended before."""
        chance = self.random
        pids = run.ranks()
        time.sleep(chance.uniform(0, 0.4 if run.launched else 0.2))
        if chance.random() < 0.1 and run.signal(pids, signal.SIGSTOP):
            time.sleep(chance.uniform(0, 0.1))
            run.signal(pids, signal.SIGCONT)
            self.counts["runs stopped and continued"] += 1
        killed = run.signal(chance.sample(pids, chance.randint(1, max(len(pids), 1))) if pids else [], KILL)
        self.counts["kills"] += killed
        return killed > 0

    def check_kept(self, folder, before):
        """What was finished once is there, byte for byte."""
        now = hashes(folder)
        self.counts["lost or changed units"] += sum(now.get(name) != content for name, content in before.items())
        return now

    def folder(self, folder, kills):
        """One folder, until all tasks are done; the last run is left in peace when `kills` are reached."""
        finish(folder / "calm", 1, self.seed + self.counts["folders"], self.tasks, launcher=False)
        seed, kept, work = self.seed + self.counts["folders"], {}, folder / "storm"
        work.mkdir(parents=True)
        while self.counts["kills"] < kills:
            ranks = self.random.choice([1, 1, 1, 1, 1, 2, 3, 4])  # one rank dies and starts quickest
            run = Run(work, ranks, seed, self.tasks, launcher=ranks > 1 or self.random.random() < 0.1)
            self.counts["runs"] += 1
            killed = self.weather(run)
            self.counts["launchers that hung"] += killed and run.end()
            code, log = run.wait()
            assert killed or code == 0, f"a run that nobody killed ended with {code}\n{log}"
            self.counts["runs killed"] += code != 0
            kept = self.check_kept(work / "run", kept)
            if code == 0:
                break
        finish(work, 2, seed, self.tasks)
        self.judge(folder / "calm" / "run", work / "run", kept)

    def judge(self, calm, stormy, kept):
        kept = self.check_kept(stormy, kept)
        damage = json.loads(subprocess.run([mpi.program("probe_store"), "verify", stormy], capture_output=True, text=True,
                                           check=True).stdout)
        self.counts["folders"] += 1
        self.counts["units"] += len(kept)
        self.counts["unreadable units"] += len(damage)
        self.counts["lost or changed units"] += kept != hashes(calm)
        self.counts["results that differ"] += (stormy / "results.h5").read_bytes() != (calm / "results.h5").read_bytes()
        self.counts["temporaries left"] += len(list(stormy.rglob(".*.tmp")))

    def rage(self, kills):
        """`kills` ranks or a few more; gives the counts."""
        while self.counts["kills"] < kills:
            with tempfile.TemporaryDirectory(prefix="cmc-storm-") as folder:
                (Path(folder) / "calm").mkdir()
                self.folder(Path(folder), kills)
        return self.counts


def is_unharmed(counts):
    return not any(counts[name] for name in ("unreadable units", "lost or changed units", "results that differ", "temporaries left"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    standalone.need_programs("probe_faults")
    begin = time.monotonic()
    counts = Storm(given.seed).rage(given.kills)
    for name, count in counts.items():
        print(f"{count:7d}  {name}")
    print(f"{time.monotonic() - begin:7.0f}  seconds")
    raise SystemExit(0 if is_unharmed(counts) else 1)


if __name__ == "__main__":
    main()
