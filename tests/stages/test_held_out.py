"""`evaluation_steps`, `held_out_items` and `keep` of an experiment: what a run stores and publishes, and what is refused."""

import json
import subprocess
import time

import h5py
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import support_pipeline as support
from support_pipeline import cmc, mpi, world  # noqa: F401

ITEMS, HELD_OUT = 8, 3
ASKED = ["methods.instruct=vanilla, cmc, full", "methods.unlearn=vanilla, cmc, lora", "prepare.epochs=0", "train_unlearn.epochs=2"]
EVALUATED = [f"{section}.{key}={value}" for section in ("train_instruct", "train_unlearn", "adapt_instruct", "adapt_unlearn")
             for key, value in (("held_out_items", HELD_OUT), ("evaluation_steps", 2), ("keep", "best"))]


def settings(*lists):
    return [text for setting in sum(lists, []) for text in ("--set", setting)]


@pytest.fixture(scope="module")
def run(world):
    """(root, folder, {(stage, purpose): (task, values)}) of its trainings."""
    root, experiment = world
    folder = root / "evaluated"
    cmc("run", experiment, "--output", folder, "--only", "train,adapt", *settings(ASKED, EVALUATED))
    return root, folder, trainings(folder)


def trainings(folder):
    plan = {task["key"]: task for task in json.loads((folder / "plan.json").read_text())["tasks"]}
    return {(task["stage"], task["parameters"].get("kind") or task["parameters"]["purpose"], task["parameters"].get("target", "")): (task, values)
            for key, values in support.units(folder).items() for task in [plan[key]]}


def test_every_training_is_evaluated(run):
    _, folder, found = run
    assert len(found) == 2 + 2 * 3
    for task, values in found.values():
        steps = len(values["loss"])
        assert values["held_out_step"].tolist() == sorted({*range(2, steps + 1, 2), steps})
        lowest = int(np.argmin(values["held_out_loss"]))
        assert values["held_out_best"].tolist() == [int(i == lowest) for i in range(len(values["held_out_step"]))]
        training = task["parameters"]["training"]
        assert (training["held_out_items"], training["evaluation_steps"], training["keep"]) == (HELD_OUT, 2, "best")
    assert not list((folder / "checkpoints").glob(".*/*")), "nothing is left of what a resumed training would need"
    with h5py.File(folder / "results.h5") as results:
        unit = next(iter(results["train"].values()))
        assert unit["held_out_loss"].attrs["units"] == "nat" and unit["held_out_loss"].dims[0].keys()


def mean_losses(logits_of, examples, size=4):
    """What an evaluation reports: the mean over micro-batches of the mean over their labels."""
    means = []
    for at in range(0, len(examples), size):
        losses = []
        for tokens, answer in examples[at:at + size]:
            with torch.no_grad():
                logits = logits_of(torch.tensor([tokens]))[0, :-1].log_softmax(-1)
            losses += [-logits[i - 1, tokens[i]].item() for i in range(answer, len(tokens))]
        means.append(np.mean(losses))
    return np.mean(means)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def instructions(root, folder):
    """(tokens, first of the answer) of the held-out pairs, as open-instruct writes them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = json.loads((root / "data" / "alpaca.json").read_text())[:ITEMS][-HELD_OUT:]
    examples = []
    for pair in pairs:
        question = pair["instruction"] + ("\n" + pair["input"] if pair.get("input") else "")
        prompt = tokenizer(f"<|user|>\n{question}\n<|assistant|>\n").input_ids
        examples.append((prompt + tokenizer(pair["output"], add_special_tokens=False).input_ids + [tokenizer.eos_token_id], len(prompt)))
    return examples


def answers(root, folder, file, count=None):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [json.loads(line) for line in (root / "data" / "tofu" / f"{file}.json").read_text().splitlines()][:count][-HELD_OUT:]
    prompts = [f"[INST] {row['question']} [/INST]" for row in rows]
    return [(tokenizer(prompt + row["answer"]).input_ids + [tokenizer.eos_token_id], len(tokenizer(prompt).input_ids))
            for prompt, row in zip(prompts, rows)]


def best(values, column):
    return values[f"held_out_{column}"][values["held_out_best"] == 1][0]


def fused(root, folder, task):
    template, delta = load(root / "small"), load(folder / "checkpoints" / task["key"])
    return lambda ids: template(ids).logits.log_softmax(-1) + delta(ids).logits


def test_the_published_delta_has_the_best_loss(run):
    root, folder, found = run
    task, values = found["train", "instruct", ""]
    assert best(values, "loss") == pytest.approx(mean_losses(fused(root, folder, task), instructions(root, root / "small")), rel=1e-5)
    assert best(values, "examples_loss") == best(values, "loss") and (values["held_out_retain_loss"] == 0).all()


def test_the_published_unlearning_delta_has_the_best_loss(run):
    root, folder, found = run
    task, values = found["train", "unlearn", ""]
    logits = fused(root, folder, task)
    forget, retain = (mean_losses(logits, answers(root, root / "small", file, count)) for file, count in (("forget01", None), ("retain99", 8)))
    assert best(values, "examples_loss") == pytest.approx(forget, rel=1e-5) and best(values, "retain_loss") == pytest.approx(retain, rel=1e-5)
    np.testing.assert_allclose(values["held_out_loss"], values["held_out_retain_loss"] - values["held_out_examples_loss"], rtol=1e-5)


@pytest.mark.parametrize("target", ["small", "other"])
def test_the_published_target_has_the_best_loss(run, target):
    root, folder, found = run
    task, values = found["adapt", "instruct", target]
    tuned = load(folder / "checkpoints" / task["key"])
    assert best(values, "loss") == pytest.approx(mean_losses(lambda ids: tuned(ids).logits, instructions(root, root / target)), rel=1e-5)


def test_ranks_do_not_change_results(world, run):
    root, experiment = world
    folder = root / "evaluated_by_3"
    cmc("run", experiment, "--output", folder, "--only", "train,adapt", *settings(ASKED, EVALUATED), ranks=3)
    support.assert_same(support.units(run[1]), support.units(folder), tolerance=0)


def test_a_killed_run_goes_on_to_the_same(world):
    root, experiment = world
    longer = ["train_instruct.epochs=100", "train_instruct.checkpoint_steps=7", "train_instruct.learning_rate=2e-2",
              "deltas.unlearn=", "methods.instruct=vanilla, cmc"]
    options = ["--only", "train", *settings(longer, EVALUATED)]
    straight, folder = root / "straight", root / "killed"
    cmc("run", experiment, "--output", straight, *options)
    with subprocess.Popen([mpi.program("cmc"), "run", experiment, "--output", folder, *options], env=mpi.environment(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        end = time.monotonic() + 60
        while not list(folder.glob("checkpoints/.*/step-*/best.safetensors")) and job.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        job.kill()
    assert list(folder.glob("checkpoints/.*/step-*")) and not support.units(folder), "it ended before: nothing was checked"
    cmc("run", experiment, "--output", folder, *options)
    assert "goes on behind step" in (folder / "logs" / "run" / "rank-000.log").read_text()
    support.assert_same(support.units(straight), support.units(folder), tolerance=0)
    weights = [next((each / "checkpoints").glob("*/model.safetensors")).read_bytes() for each in (straight, folder)]
    assert weights[0] == weights[1]
    rows = next(iter(support.units(straight).values()))
    assert rows["held_out_best"][-1] == 0, "the best is not the last"


def planned(world, *lists):
    done = cmc("plan", world[1], "--output", world[0] / "unused", "--json", *settings(*lists))
    return json.loads(done.stdout)["tasks"]


def test_who_does_not_ask_has_the_tasks_of_before(world):
    """No key of a task says anything of it; keys that say the default are none."""
    plain, said = planned(world, ASKED), planned(world, ASKED, ["train_instruct.keep=last", "train_instruct.held_out_items=0"])
    assert [task["key"] for task in plain] == [task["key"] for task in said]
    assert not any(word in json.dumps(plain) for word in ("held_out", "evaluation_steps", "keep"))


@pytest.mark.parametrize("section", ["train_instruct", "train_unlearn", "adapt_instruct", "adapt_unlearn"])
@pytest.mark.parametrize("asked, named, remedy", [
    ({"keep": "best"}, "keep", "evaluation_steps"), ({"evaluation_steps": 5}, "evaluation_steps", "held_out_items"),
    ({"held_out_items": 2}, "held_out_items", "evaluation_steps"), ({"keep": "middle"}, "keep", "last, best"),
    ({"held_out_items": 12, "evaluation_steps": 5}, "held_out_items", "fewer"), ({"evaluation_steps": -1}, "evaluation_steps", "")])
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_what_makes_no_sense_is_refused(world, tmp_path, section, asked, named, remedy, verb):
    mine = [f"{section}.{key}={value}" for key, value in asked.items()]
    error = cmc(verb, world[1], "--output", tmp_path / "out", *settings(ASKED, mine), expect=78).stderr
    assert world[1].name in error and f"{section}.{named}" in error and remedy in error
    assert not (tmp_path / "out" / "units").exists()
