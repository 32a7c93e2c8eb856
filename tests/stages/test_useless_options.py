"""What a command line asks for is done, or refused: no option is taken and then left aside."""

import json
import os
import subprocess

import pytest

from support_pipeline import cmc, mpi, world  # noqa: F401
from support_truth import published


@pytest.fixture(scope="module")
def asked(world, tmp_path_factory):
    root = world[0]
    prompts = tmp_path_factory.mktemp("prompts") / "p.jsonl"
    prompts.write_text(json.dumps({"prompt": "Who?", "answer": "He."}) + "\n")
    return {"generate": ["generate", "--model", root / "small", "--prompts", prompts, "--new", 4],
            "score": ["score", "--model", root / "small", "--pairs", prompts]}, root


@pytest.mark.parametrize("verb", ["generate", "score"])
@pytest.mark.parametrize("option", ["--alpha=0.5", "--map=exact_only", "--unmapped=mean", "--mode=raw_sum"])
def test_without_a_delta(asked, verb, option):
    commands, root = asked
    error = cmc(*commands[verb], option, expect=2).stderr
    assert option.split("=")[0] in error and "--delta" in error


@pytest.mark.parametrize("option", ["--map=exact_only", "--unmapped=mean"])
def test_a_map_between_equal_vocabularies(asked, option):
    commands, root = asked
    assert "one vocabulary" in cmc(*commands["score"], "--delta", root / "large", option, expect=2).stderr
    cmc(*commands["score"], "--delta", root / "other", option)


@pytest.mark.parametrize("options, named", [
    (["--delta", "large", "--alpha", "1", "--alpha", "2"], "--alpha"), (["--delta", "large", "--delta", "other", "--alpha=1", "--alpha=2", "--alpha=3"], "--alpha"),
    (["--contrast", "plain"], "--contrast"), (["--contrast", "chat"], "--contrast"), (["--contrast", "inst", "--map=exact_only"], "--map"),
    (["--delta", "large", "--gate", "disagreement", "--gate-threshold=0.5"], "--gate-threshold")])
def test_several_deltas_and_contrasts(asked, options, named):
    commands, root = asked
    options = [root / option if option in ("large", "other") else option for option in options]
    assert named in cmc(*commands["generate"], *options, expect=2).stderr


def test_a_contrast_is_generated_and_scored(asked):
    """Alone and beside a delta, each at its own strength, as the published algorithm has it."""
    commands, root = asked
    model, tokenizer = published.load_model(root / "small"), published.load_tokenizer(root / "small")
    contrast = published.Delta([published.Part(model)], contrast=True)
    delta = published.Delta([published.Part(published.load_model(root / "large"))])
    for options, system in [(["--alpha=2"], ([contrast], [2.0])),
                            (["--delta", root / "large", "--alpha=0.5", "--alpha=3"], ([delta, contrast], [0.5, 3.0]))]:
        reads = {"delta_prompt": "[INST] Who? [/INST]"}
        said = {verb: json.loads(cmc(*commands[verb], "--contrast", "inst", *options).stdout.splitlines()[0]) for verb in commands}
        assert said["generate"]["ids"] == published.generate(model, tokenizer, "Who?", 4, *system, **reads, end_tokens=[0])["ids"]
        wanted = published.score(model, tokenizer, "Who?", "He.", *system, **reads)["logprob"]
        assert said["score"]["logprob"] == pytest.approx(wanted, rel=1e-3)
        assert wanted != pytest.approx(published.score(model, tokenizer, "Who?", "He.")["logprob"], rel=1e-2)


@pytest.mark.parametrize("options, named", [
    (["--top-p", "0.5"], "--top-p"), (["--seed", "3"], "--seed"), (["--temperature", "1", "--seed=-1"], "--seed -1"),
    (["--temperature", "nan"], "--temperature"), (["--temperature=-1"], "--temperature"), (["--temperature", "1", "--top-p", "0"], "--top-p"),
    (["--new", "0"], "--new"), (["--batch", "0"], "--batch 0"), (["--batch", "1000000000"], "--batch"), (["--alpha", "nan"], "--alpha"),
    (["--date", "2024-01-01"], "--date"), (["--system", "x"], "--system")])
def test_out_of_range_or_idle(asked, options, named):
    commands, root = asked
    delta = ["--delta", root / "large"] if "--alpha" in options else []
    assert named in cmc(*commands["generate"], *delta, *options, expect=2).stderr


@pytest.mark.parametrize("verb, options, named", [
    ("plan", ["--limit", "0"], "--limit 0"), ("run", ["--limit=-3"], "--limit -3"), ("plan", ["--ranks", "0"], "--ranks 0"),
    ("plan", ["--ranks-per-node", "2"], "--ranks-per-node"), ("run", ["--time-limit", "0"], "--time-limit"), ("run", ["--time-limit=nan"], "--time-limit"),
    ("run", ["--time-limit=-5"], "--time-limit"), ("run", ["--reserve=-1"], "--reserve"), ("run", ["--stall-seconds", "0"], "--stall-seconds"),
    ("plan", ["--set", "compute.batch=2", "--set", "compute.batch=3"], "compute.batch"),
    ("plan", ["--limit", "2", "--set", "unlearn.items=3"], "unlearn.items")])
def test_plan_and_run(world, tmp_path, verb, options, named):
    assert named in cmc(verb, world[1], "--output", tmp_path / "out", *options, expect=2).stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("threads", ["100000", "99999999999999999999", "0", "-1", "x", "2,1"])
def test_absurd_thread_counts(asked, threads):
    commands, _ = asked
    for command in commands.values():
        done = subprocess.run([mpi.program("cmc"), *map(str, command)], env={**os.environ, "OMP_NUM_THREADS": threads}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def test_what_another_job_left_in_the_environment(world, tmp_path, monkeypatch):
    """Slurm's variables of a job that has ended, in a shell that outlived it."""
    for name, value in {"SLURM_JOB_ID": "77", "SLURM_JOB_END_TIME": "1700000000", "SLURM_NTASKS": "64", "SLURM_PROCID": "0", "SLURM_LOCALID": "3",
                        "SLURM_JOB_NUM_NODES": "8", "SLURM_NODELIST": "gone[1-8]", "SLURM_ARRAY_TASK_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    done = cmc("run", world[1], "--output", tmp_path / "out", "--only", "token_map")
    assert "SLURM_JOB_END_TIME" in done.stderr and "tasks are done" in done.stdout
