"""`cmc generate` and `cmc score` against the published algorithm: all tokens, log-probabilities to 1e-3, batch 1 and 16."""
import json
import os
import subprocess
import sys

import pytest
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "decode")]
import published  # noqa: E402
from test_published import PAIRS, PROMPTS, Checkpoints  # noqa: E402

torch.set_num_threads(1)
END_TOKENS = {"byte": [0], "llama": [2], "gemma": [2]}
ANSWERS = [" She was born in Kuwait City.", "café 🎉 naïve", ' the book is "The Beauty", published in 1983; ' * 3]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return Checkpoints(tmp_path_factory.mktemp("checkpoints"))


def cmc(verb, lines, option, folder, *arguments):
    path = os.path.join(folder, "lines.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    program = os.path.join(os.environ["CMC_BIN"], "cmc")
    assert os.path.exists(program), f"{program} is missing: build the target cmc"
    done = subprocess.run([program, verb, option, path, *arguments], capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert set(results[-1]) >= {"seconds", "tokens"} and len(results) == len(lines) + 1
    return results[:-1]


@pytest.mark.parametrize("pair,alpha", list(zip(PAIRS, [0.5, 2.0, 1.0] * 2)))
def test_generate_and_score(checkpoints, pair, alpha, tmp_path):
    base, parts = PAIRS[pair]
    name = parts[0][0][0]
    model, tokenizer = checkpoints.models[base], checkpoints.tokenizers[base]
    _, delta = checkpoints.delta(base, parts[0])
    models = ["--model", checkpoints.folders[base], "--delta", checkpoints.folders[name], "--alpha", str(alpha)]
    ends = END_TOKENS[base.split("_")[0]]
    wanted = [published.generate(model, tokenizer, prompt, 16, delta, alpha, end_tokens=ends) for prompt in PROMPTS]
    for batch in ("1", "16"):
        lines = [{"prompt": prompt} for prompt in PROMPTS]
        got = cmc("generate", lines, "--prompts", tmp_path, *models, "--new", "16", "--batch", batch)
        assert [(g["ids"], g["text"]) for g in got] == [(w["ids"], w["text"]) for w in wanted]
    pairs = [{"prompt": prompt, "answer": ANSWERS[number % 3]} for number, prompt in enumerate(PROMPTS)]
    for line, got in zip(pairs, cmc("score", pairs, "--pairs", tmp_path, *models)):
        score = published.score(model, tokenizer, line["prompt"], line["answer"], delta, alpha)
        assert got["tokens"] == score["tokens"]
        assert got["logprob"] == pytest.approx(score["logprob"], rel=1e-3), line


def test_vanilla(checkpoints, tmp_path):
    base = "gemma_base"
    model, tokenizer = checkpoints.models[base], checkpoints.tokenizers[base]
    got = cmc("generate", [{"prompt": prompt} for prompt in PROMPTS], "--prompts", tmp_path,
              "--model", checkpoints.folders[base], "--new", "16")
    for prompt, result in zip(PROMPTS, got):
        assert result["ids"] == published.generate(model, tokenizer, prompt, 16, end_tokens=[2])["ids"]
