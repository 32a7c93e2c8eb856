#!/usr/bin/env python3
"""What to look at first where a GPU is: is everything right on it, does the whole program run, how fast is it. One command:

  tests/cuda/run.py [--bin build/release/bin] [--device cuda] [--seconds 600] [--logs DIR] [--small]

Needs Python alone and the built programs: those of a kit, too (jobs/device_kit.sh), on a machine that has only LibTorch beside it.
Prints a line for each check as it ends, and a table with the card's name; exit code 0 when all have passed. --device cpu --small
tries the script itself where there is no GPU. Each step has its own limit, and what no time is left for is said to be not run."""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
GROUPS = ["logits", "fusion", "texts", "scores", "training"]

# The embedded experiment cut down to every stage once, on few items. Without IFEval: a word more or less of a few responses moves its
# shares by whole instructions.
WORLD = {"world.documents": 800, "pretrain.steps": 40, "prepare.epochs": 2, "train_instruct.epochs": 1, "train_unlearn.epochs": 2,
         "adapt_unlearn.epochs": 1, "adapt_instruct.epochs": 1, "train_instruct.items": 64, "instruct.items": 8,
         "instruct.unit_items": 8, "instruct.new_tokens": 12, "unlearn.items": 4, "unlearn.unit_items": 4, "unlearn.new_tokens": 8,
         "similarity.items": 4, "similarity.new_tokens": 8, "similarity.other_items": 32, "prepare.retain_items": 40,
         "data.ifeval": "", "deltas.instruct": "tiny", "deltas.unlearn": "tiny", "similarity.pairs": "small:other"}
SMALL_WORLD = {**WORLD, "world.documents": 300, "pretrain.steps": 8, "prepare.epochs": 1, "methods.instruct": "vanilla, cmc",
               "methods.unlearn": "vanilla, cmc", "fusion.mode": "base_normalized", "fusion.unmapped": "zero",
               "token_map.method": "pm_mined", "instruct.items": 4, "instruct.unit_items": 4}
# How far a mean figure that lies between 0 and 1 may move from the CPU's float32 to the device's.
WORLD_TOLERANCE = {"float32": 0.05, "bfloat16": 0.25}


class Checks:
    """Runs the programs, within the time that is left, and gathers what came out."""

    def __init__(self, given):
        self.given, self.start, self.rows = given, time.monotonic(), []
        self.bin = Path(given.bin).resolve()
        if not (self.bin / "cmc").exists():
            print(f"{self.bin / 'cmc'} is missing: jobs/build.sh builds it, or --bin names its folder", file=sys.stderr)
            raise SystemExit(66)
        self.logs = Path(given.logs).resolve()
        self.logs.mkdir(parents=True, exist_ok=True)
        self.on_gpu = given.device == "cuda"
        self.environment = {"OMP_NUM_THREADS": str(max(1, min(8, (os.cpu_count() or 2) // 2))), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **os.environ}

    def left(self):
        return self.given.seconds - (time.monotonic() - self.start)

    def add(self, check, status, detail=""):
        self.rows.append((check, status, detail))
        print(f"{time.monotonic() - self.start:6.0f} s  {status:8}  {check}{'  ' + detail if detail else ''}", flush=True)

    def program(self, name):
        return str(self.bin / name)

    def run(self, name, command, limit):
        """stdout of a command, its stderr into the logs; None, and a line in the table, where it was not run or failed."""
        limit = min(limit, self.left())
        if limit < 5:
            return self.add(name, "not run", "no time left")
        log = self.logs / (name.replace(" ", "-").replace(",", "") + ".log")
        try:
            with open(log, "w") as errors:
                done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True, timeout=limit,
                                      env=self.environment)
        except (OSError, subprocess.TimeoutExpired) as error:
            return self.add(name, "FAILED", str(error)[:200])
        with open(log, "a") as more:
            more.write("\n" + done.stdout)
        if done.returncode not in (0, 1):
            return self.add(name, "FAILED", f"exit {done.returncode}, see {log}")
        return done

    def succeeded(self, name, command, limit):
        done = self.run(name, command, limit)
        if done is not None and done.returncode != 0:
            return self.add(name, "FAILED", f"exit {done.returncode}, see the logs")
        return done


def guarded(checks, step):
    """What a program left unsaid or unwritten fails its step; the others still run."""
    try:
        step(checks)
    except (OSError, ValueError, KeyError) as error:
        checks.add("what a program wrote", "FAILED", f"{type(error).__name__}: {error}"[:300])


def card_name(checks):
    """Of the first card, or of the processor."""
    if checks.on_gpu and shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.splitlines()[0]
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def doctor(checks):
    done = checks.succeeded("cmc doctor", [checks.program("cmc"), "doctor"], 60)
    if done is None:
        return
    cards = [line for line in done.stdout.splitlines() if " card " in line]
    if not checks.on_gpu:
        return checks.add("cmc doctor", "passed")
    good = bool(cards) and all(line.startswith("ok") and line.rstrip().endswith("computes") for line in cards)
    checks.add("cmc doctor", "passed" if good else "FAILED", "; ".join(cards) or "names no card")


def comparisons(checks):
    for group in GROUPS:
        done = checks.run(f"probe {group}", [checks.program("probe_cuda"), group, checks.given.device], 120)
        if done is None:
            continue
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for line in lines:
            told = line.get("error") or f"{line['worst']} (allowed {line['allowed']})"
            checks.add(line["check"], "passed" if line["passed"] else "FAILED", str(told))
        if not lines or (done.returncode != 0) != any(not line["passed"] for line in lines):
            checks.add(f"probe {group}", "FAILED", f"exit {done.returncode} after {len(lines)} checks")


def world_command(checks, output, device, dtype):
    settings = {**(SMALL_WORLD if checks.given.small else WORLD), "compute.device": device, "compute.dtype": dtype}
    experiment = checks.given.experiment or SOURCE / "jobs" / "experiments" / "mini.ini"
    return [checks.program("cmc"), "run", experiment, "--output", output,
            *(text for key, value in settings.items() for text in ("--set", f"{key}={value}"))]


def compare_worlds(checks, name, first, second, dtype):
    folder = checks.logs / name.replace(" ", "-").replace(",", "")
    done = checks.succeeded(name, [checks.program("cmc-report"), "compare", first, second, "--output", folder], 60)
    if done is None:
        return
    with open(folder / "compare.csv", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["A"] and row["B"]]
    bounded = [row for row in rows if any(word in row["Metric"] for word in ("Prob.", "Truth R."))]
    if not bounded:
        return checks.add(name, "FAILED", "no figure to compare")
    moved = {abs(float(row["A"]) - float(row["B"])): row for row in bounded}
    worst = max(moved)
    allowed = WORLD_TOLERANCE[dtype]
    told = f"{len(rows)} figures; probabilities move by {worst:.4f} at most ({moved[worst]['Metric']}; allowed {allowed})"
    checks.add(name, "passed" if worst <= allowed else "FAILED", told)


def worlds(checks, on_cpu):
    """The small world on the device in both types, against the CPU's, which ran beside the other checks."""
    for dtype in ["float32"] if checks.given.small else ["float32", "bfloat16"]:
        output = checks.logs / f"world-{checks.given.device}-{dtype}"
        if checks.succeeded(f"small world, {dtype}", world_command(checks, output, checks.given.device, dtype), 150) is None:
            continue
        on_cpu["thread"].join(timeout=max(1.0, checks.left()))
        if on_cpu.get("code") != 0:
            checks.add(f"small world, {dtype}", "FAILED", "it did not end on the CPU, with which it is compared")
            continue
        compare_worlds(checks, f"small world, {dtype}", on_cpu["output"], output, dtype)


def start_world_on_cpu(checks):
    state = {"output": checks.logs / "world-cpu"}
    command = [str(part) for part in world_command(checks, state["output"], "cpu", "float32")]

    def run():
        with open(checks.logs / "world-cpu.log", "w") as log:
            try:
                state["code"] = subprocess.run(command, stdout=log, stderr=log, env=checks.environment,
                                               timeout=max(1.0, checks.left())).returncode
            except (OSError, subprocess.TimeoutExpired) as error:
                log.write(str(error))
                state["code"] = 1

    state["thread"] = threading.Thread(target=run, daemon=True)
    state["thread"].start()
    return state


def two_ranks(checks, on_cpu):
    """A model held by two ranks, of which one card serves both, writes what one rank writes on the CPU."""
    name = "two ranks on one device"
    folders = [f.parent for f in sorted(on_cpu["output"].glob("checkpoints/*/config.json"))
               if json.loads(f.read_text()).get("num_attention_heads", 1) % 2 == 0]
    if not folders:
        return checks.add(name, "FAILED", "the small world left no model")
    prompts = checks.logs / "prompts.jsonl"
    prompts.write_text('{"prompt":"Where does Anna live?"}\n{"prompt":"Who"}\n')
    arguments = ["generate", "--model", folders[0], "--prompts", prompts, "--new", 8, "--dtype", "float32"]
    alone = checks.succeeded(f"{name}: one rank", [checks.program("cmc"), *arguments, "--device", "cpu"], 60)
    mpirun = checks.program("mpirun") if (checks.bin / "mpirun").exists() else "mpirun"
    together = checks.succeeded(name, [mpirun, "-n", 2, "--oversubscribe", checks.program("cmc"), *arguments, "--device",
                                       checks.given.device, "--tensor-parallel"], 90)
    if alone is None or together is None:
        return
    texts = [[json.loads(line).get("text") for line in done.stdout.splitlines() if line.startswith("{")] for done in (alone, together)]
    texts = [[text for text in each if text is not None] for each in texts]
    same = len(texts[0]) == 2 and texts[0] == texts[1]
    checks.add(name, "passed" if same else "FAILED", "" if same else f"{texts[0]} became {texts[1]}")


def sanitizer(checks):
    """Reads and writes beyond what was allocated, in kernels of ours and in what our indices make of others."""
    if not checks.on_gpu:
        return
    tool = shutil.which("compute-sanitizer") or next((str(p) for p in Path("/usr/local").glob("cuda*/bin/compute-sanitizer")), None)
    for group in ("logits", "texts"):
        name = f"memory errors in {group}"
        if tool is None:
            checks.add(name, "not run", "compute-sanitizer is not installed")
            continue
        command = [tool, "--tool", "memcheck", "--target-processes", "all", "--error-exitcode", 9, checks.program("probe_cuda"), group, "cuda"]
        if checks.succeeded(name, command, 120) is not None:
            checks.add(name, "passed")


def bench(checks):
    """Figures and the goals beside them: what is missed is told, and is no failure of a check."""
    shapes = [("tiny", ["--batch", "1,2", "--context", 16, "--steps", 3])] if checks.given.small else [("llama2_7b", []), ("llama3_8b", [])]
    for shape, more in shapes:
        name = f"bench {shape}"
        done = checks.succeeded(name, [checks.program("cmc"), "bench", "--shape", shape, "--device", checks.given.device, *more, "--json"], 200)
        if done is None:
            continue
        found = json.loads(done.stdout)
        (checks.logs / f"bench-{shape}.json").write_text(done.stdout)
        for measure in found["measures"]:
            told = f"{measure['value']:.4g} {measure['unit']}"
            if "fraction" in measure:
                told += f", {100 * measure['fraction']:.1f} % of {measure['fraction_of']}"
            goal = measure.get("goal_at_least", measure.get("goal_at_most"))
            if goal is not None:
                reached = measure["fraction"] >= goal if "goal_at_least" in measure else measure["fraction"] <= goal
                told += f" (goal {'≥' if 'goal_at_least' in measure else '≤'} {100 * goal:.0f} %: {'reached' if reached else 'missed'})"
            checks.add(f"{shape}: {measure['name']}", "measured", told)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("CMC_BIN", SOURCE / "build" / "release" / "bin"), help="folder of the programs")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=600, help="for all of it")
    parser.add_argument("--logs", default="cuda-checks", help="what the programs wrote")
    parser.add_argument("--experiment", help="the small world's file, where it does not lie in jobs/experiments")
    parser.add_argument("--small", action="store_true", help="little of each, for trying the script itself")
    checks = Checks(parser.parse_args(arguments))
    card = card_name(checks)
    print(f"{card}: {checks.given.device}", flush=True)
    on_cpu = start_world_on_cpu(checks)
    for step in (doctor, comparisons, lambda checks: worlds(checks, on_cpu), lambda checks: two_ranks(checks, on_cpu), bench, sanitizer):
        guarded(checks, step)
    width = max(len(check) for check, _, _ in checks.rows)
    print(f"\n{card}\n" + "\n".join(f"{check:{width}}  {status:8}  {detail}".rstrip() for check, status, detail in checks.rows))
    counts = {status: sum(row[1] == status for row in checks.rows) for status in ("passed", "FAILED", "not run", "measured")}
    print("\n" + ", ".join(f"{count} {status}" for status, count in counts.items()) + f", {time.monotonic() - checks.start:.0f} s")
    return 0 if counts["passed"] and not counts["FAILED"] and not counts["not run"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
