"""`cmc run` end to end on tiny checkpoints: the same units on any ranks, resuming, sharding, stopping, exports."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import h5py
import pytest
import torch

import support_official as official
import support_pipeline as support
from support_pipeline import cmc, mpi, world  # noqa: F401


@pytest.fixture(scope="module")
def reference(world):
    """The undisturbed run on one rank, alone."""
    root, experiment = world
    folder = root / "alone"
    done = cmc("run", experiment, "--output", folder)
    assert "of" in done.stdout and "results.h5" in done.stdout
    return folder


def test_every_stage_left_its_units(reference):
    plan = json.loads((reference / "plan.json").read_text())["tasks"]
    assert {task["stage"] for task in plan} == {"token_map", "prepare", "train", "instruct", "unlearn"}
    assert {task["key"] for task in plan} == support.units(reference).keys()


@pytest.mark.parametrize("ranks", [2, 3, 4, 8])
def test_ranks_do_not_change_results(world, reference, ranks):
    root, experiment = world
    folder = root / f"ranks{ranks}"
    cmc("run", experiment, "--output", folder, ranks=ranks)
    support.assert_same(support.units(reference), support.units(folder))


def test_second_run_does_nothing_and_says_so(world, reference):
    _, experiment = world
    before = {file: file.stat().st_mtime_ns for file in reference.glob("units/*/*.h5")}
    done = cmc("run", experiment, "--output", reference)
    assert "nothing to do" in done.stdout
    assert before == {file: file.stat().st_mtime_ns for file in reference.glob("units/*/*.h5")}


def test_results_that_lack_units_are_merged_again(world, reference):
    root, experiment = world
    folder = support.copy_run(reference, root / "merged_early")
    (folder / "results.h5").unlink()
    cmc("run", experiment, "--output", folder, "--only", "token_map")  # as if the others' run was killed before its merge
    cmc("run", experiment, "--output", folder)
    with h5py.File(folder / "results.h5") as results:
        assert set(results["tasks/key"].asstr()[:]) == support.units(reference).keys()


def test_killed_run_resumes_to_the_same(world, reference):
    root, experiment = world
    folder, dice, kills = root / "killed", random.Random(5), 0
    for attempt in range(12):
        ranks = dice.choice([1, 2, 3])
        run = subprocess.Popen(mpi.command(ranks, mpi.program("cmc"), "run", str(experiment), "--output", str(folder)),
                               env=mpi.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.8, 3.0))
        victims = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True).stdout.split()
        if run.poll() is None and victims:
            os.kill(int(dice.choice(victims)), signal.SIGKILL)
            kills += 1
        if run.wait(timeout=60) == 0:
            break
    cmc("run", experiment, "--output", folder)
    assert kills >= 1, "no run was killed: the test checked nothing"
    support.assert_same(support.units(reference), support.units(folder))
    assert "0 damaged" in cmc("verify", folder).stdout


def test_shards_make_the_whole(world, reference):
    root, experiment = world
    folder = root / "shards"
    for shard in ["0/2", "1/2"]:
        cmc("run", experiment, "--output", folder, "--shard", shard)
    support.assert_same(support.units(reference), support.units(folder))


def test_only_and_shard_choose_from_the_whole_plan(world, reference):
    root, experiment = world
    folder, plan = root / "chosen", lambda each: json.loads((each / "plan.json").read_text())["tasks"]
    whole = {task["key"]: task["stage"] for task in plan(reference)}
    cmc("run", experiment, "--output", folder, "--only", "token_map")
    mapped = {key for key, stage in whole.items() if stage == "token_map"}
    assert support.units(folder).keys() == mapped and {task["key"]: task["stage"] for task in plan(folder)} == whole
    status = json.loads(cmc("status", folder, "--json").stdout)
    assert (status["done"], status["total"]) == (len(mapped), len(whole)) and len(status["missing"]) == len(whole) - len(mapped)
    with h5py.File(folder / "results.h5") as results:
        assert set(results["tasks/key"].asstr()[:]) == mapped
    cmc("run", experiment, "--output", folder, "--shard", "0/2")
    assert {task["key"]: task["stage"] for task in plan(folder)} == whole


def runs_of(folder):
    return {run["name"]: run for run in json.loads(cmc("status", folder, "--json").stdout)["runs"]}


def test_runs_side_by_side_tell_of_themselves(world):
    root, experiment = world
    folder = root / "side_by_side"
    command = [mpi.program("cmc"), "run", str(experiment), "--output", str(folder), "--set", "train_instruct.epochs=30"]
    others = [["--shard", "0/2"], ["--shard", "1/2"], [], []]
    jobs = [subprocess.Popen([*command, *more], env=mpi.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for more in others]
    names, deadline, seen = {"shard-0-of-2", "shard-1-of-2", "run", "run-2"}, time.time() + 60, {}
    while time.time() < deadline and any(job.poll() is None for job in jobs):
        if (folder / "plan.json").exists():
            seen = runs_of(folder)
            if {name for name, run in seen.items() if run["live"] and any(run.get("running", []))} == names:
                break
    told = cmc("status", folder).stdout
    for job in jobs:
        assert job.wait(timeout=120) == 0, job.stderr.read()[-2000:]
    assert seen.keys() == names and all(run["live"] and any(run["running"]) for run in seen.values()), seen
    assert all(f"\n{name}: " in told for name in names) and "tasks are done; last seen running" in told and "\n  running  " in told, told
    assert {name: (run["state"], run["live"]) for name, run in runs_of(folder).items()} == dict.fromkeys(names, ("finished", False))
    assert {file.relative_to(folder / "logs").as_posix() for file in folder.rglob("rank-*.log")} == {f"{name}/rank-000.log" for name in names}
    for name in names:
        assert "done " in (folder / "logs" / name / "rank-000.log").read_text()
    status = json.loads(cmc("status", folder, "--json").stdout)
    assert status["state"] == "finished" and status["done"] == status["total"] and "running" not in status


def test_a_run_that_goes_on_appends_to_its_logs(world, reference):
    root, experiment = world
    folder = support.copy_run(reference, root / "appended")
    before = (folder / "logs" / "run" / "rank-000.log").read_text()
    key = next(task["key"] for task in json.loads((folder / "plan.json").read_text())["tasks"] if task["stage"] == "instruct")
    (folder / "units" / key[:2] / f"{key}.h5").unlink()
    cmc("run", experiment, "--output", folder)
    after = (folder / "logs" / "run" / "rank-000.log").read_text()
    assert after.startswith(before) and len(after) > len(before) and [run.name for run in (folder / "logs").iterdir()] == ["run"]


def test_logs_of_an_earlier_version_are_read(world, reference):
    root, experiment = world
    folder = support.copy_run(reference, root / "earlier_logs")
    (folder / "logs" / "run" / "rank-000.log").rename(folder / "logs" / "rank-000.log")
    (folder / "logs" / "run" / "progress.json").unlink()
    (folder / "progress.json").write_text(json.dumps({"state": "running", "date": "2020-01-01T00:00:00Z", "done": 1, "total": 3, "running": ["a task", ""]}))
    status = json.loads(cmc("status", folder, "--json").stdout)
    assert status["state"] == "running" and status["running"] == ["a task", ""] and [run["name"] for run in status["runs"]] == ["earlier"]
    assert "earlier: 1 of its 3 tasks, last seen 2020-01-01T00:00:00Z\n  running  a task\n" in cmc("status", folder).stdout
    cmc("run", experiment, "--output", folder)
    status = json.loads(cmc("status", folder, "--json").stdout)
    assert status["state"] == "finished" and "running" not in status and [run["name"] for run in status["runs"]] == ["run", "earlier"]


def test_a_failure_is_told_until_its_task_is_done(world, reference):
    root, _ = world
    folder = support.copy_run(reference, root / "failed")
    tasks = json.loads((folder / "plan.json").read_text())["tasks"]
    failures = [{"key": task["key"], "name": task["name"], "message": "the disk is full", "rank": 0} for task in tasks[-2:]]
    for name in ("shard-0-of-2", "shard-1-of-2"):
        (folder / "logs" / name).mkdir()
        (folder / "logs" / name / "progress.json").write_text(json.dumps({"state": "failed", "date": "", "failures": failures}))
    (folder / "units" / tasks[-1]["key"][:2] / f"{tasks[-1]['key']}.h5").unlink()
    assert json.loads(cmc("status", folder, "--json").stdout)["failures"] == failures[1:]


def test_usr2_stops_with_75_and_the_next_run_goes_on(world, reference):
    root, experiment = world
    folder = root / "stopped"
    run = subprocess.Popen(mpi.command(2, mpi.program("cmc"), "run", str(experiment), "--output", str(folder)), env=mpi.environment(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 60
    while not list(folder.glob("units/*/*.h5")) and time.time() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGUSR2)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 75, err[-2000:]
    assert "again" in out
    missing = json.loads(cmc("status", folder, "--json").stdout)["missing"]
    assert missing, "the run ended before it was stopped"
    cmc("run", experiment, "--output", folder)
    support.assert_same(support.units(reference), support.units(folder))


def test_status_and_verify(world, reference):
    root, _ = world
    status = json.loads(cmc("status", reference, "--json").stdout)
    assert status["done"] == status["total"] > 10 and not status["missing"]
    damaged = support.copy_run(reference, root / "damaged")
    unit = sorted(damaged.glob("units/*/*.h5"))[3]
    content = bytearray(unit.read_bytes())
    content[len(content) // 2] ^= 4
    unit.write_bytes(content)
    assert unit.stem in cmc("verify", damaged, expect=65).stdout


def test_a_plan_that_an_earlier_version_wrote_is_read(world, reference):
    root, _ = world
    old = support.copy_run(reference, root / "earlier")
    plan = json.loads((old / "plan.json").read_text())
    for task in plan["tasks"]:
        del task["load_seconds"], task["tensor_parallel"], task["pipeline_parallel"], task["resumable"]
    (old / "plan.json").write_text(json.dumps(plan))
    status = json.loads(cmc("status", old, "--json").stdout)
    assert status["done"] == status["total"] == len(plan["tasks"])


def test_plan_runs_nothing(world):
    root, experiment = world
    plan = json.loads(cmc("plan", experiment, "--json").stdout)
    assert len(plan["tasks"]) > 10
    only = json.loads(cmc("plan", experiment, "--json", "--only", "token_map").stdout)
    assert {task["stage"] for task in only["tasks"]} == {"token_map"}


def test_report_of_the_run(reference):
    done = subprocess.run([mpi.program("cmc-report"), str(reference)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (reference / "report" / "index.html").read_text(encoding="utf-8")
    assert "other" in page and "Tiny" in page


def test_exports(world, reference):
    root, _ = world
    outputs = root / "outputs.json"
    cmc("export", "alpaca_eval", reference, "--target", "other", "--delta", "d", "--alpha", "0.5", "--to", outputs)
    rows = json.loads(outputs.read_text())
    assert len(rows) == 4 and rows[0].keys() == {"instruction", "output", "generator"}
    log = root / "log.json"
    cmc("export", "tofu", reference, "--target", "large", "--to", log)
    sets = json.loads(log.read_text())
    assert len(sets) == 4
    for values in sets.values():
        assert values["avg_gt_loss"].keys() == values["generated_text"].keys() == {"0", "1", "2"}
    scored, truth = json.loads(cmc("import", "tofu", log, "--json").stdout), official.aggregate(sets)
    assert scored["rouge_l_differing"] == 0 and scored["sets"].keys() == truth["sets"].keys()
    for name, figures in truth["sets"].items():
        for figure in ("rouge_l", "probability", "truth_ratio"):
            assert scored["sets"][name][figure] == pytest.approx(figures[figure], rel=1e-9)
    from transformers import AutoModelForCausalLM, AutoTokenizer
    folder = root / "delta"
    cmc("export", "hf", reference, "--model", "instruct:d", "--to", folder)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    logits = model(torch.tensor([tokenizer.encode("Who wrote it?")])).logits
    assert logits.shape[-1] == len(tokenizer) and torch.isfinite(logits).all()


def test_generate_and_score_verbs(world, reference):
    root, _ = world
    (root / "prompts.jsonl").write_text('{"prompt": "Who wrote it?"}\n{"prompt": "Where?"}\n')
    (root / "pairs.jsonl").write_text('{"prompt": "Who wrote it?", "answer": " A person."}\n')
    delta = root / "delta2"
    cmc("export", "hf", reference, "--model", "unlearn:d", "--to", delta)
    for target in ["large", "other"]:
        lines = cmc("generate", "--model", root / target, "--delta", delta, "--prompts", root / "prompts.jsonl", "--new", 5).stdout.splitlines()
        assert len(lines) == 3 and json.loads(lines[-1]).keys() == {"seconds", "tokens"}
        lines = cmc("score", "--model", root / target, "--delta", delta, "--pairs", root / "pairs.jsonl").stdout.splitlines()
        assert json.loads(lines[0])["logprob"] < 0 and json.loads(lines[0])["tokens"] >= 2
