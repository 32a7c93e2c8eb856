"""Models with other rows than their tokenizer has tokens, on the command line, against transformers."""

import json
import subprocess

import pytest
import torch
from tokenizers import AddedToken
from transformers import AutoTokenizer

from support_pipeline import mpi, tiny

PROMPTS = ["the quick brown", "a cat"]


def cmc(verb, *options, expect=0):
    done = subprocess.run([mpi.program("cmc"), verb, *map(str, options)], text=True, capture_output=True,
                          env=mpi.environment(), timeout=120)
    assert done.returncode == expect, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()] if expect == 0 else done.stderr


def lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def made(folder, more_rows=0, more_tokens=()):
    tokenizer, special = tiny.byte_level_bpe(600)
    rows = tokenizer.get_vocab_size() + more_rows
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in more_tokens])
    model = tiny.llama(rows, 4)
    if more_rows > 0:  # what no token has is what the model likes best, now and then
        with torch.no_grad():
            model.lm_head.weight[-more_rows:] *= 3.0
    tiny.write(folder, model, tokenizer, special)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def test_rows_without_a_token(tmp_path):
    model, tokenizer = made(tmp_path / "model", more_rows=40)
    answers = cmc("generate", "--model", tmp_path / "model", "--prompts",
                  lines(tmp_path / "p", [{"prompt": prompt} for prompt in PROMPTS]), "--new", 24, "--dtype", "float32")
    without = 0
    for prompt, ours in zip(PROMPTS, answers):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        theirs = model.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=0,
                                eos_token_id=tokenizer.eos_token_id)[0, ids.shape[1]:].tolist()
        assert ours["ids"] == theirs
        assert ours["text"] == tokenizer.decode(ours["ids"], skip_special_tokens=True)
        without += sum(token >= len(tokenizer) for token in ours["ids"])
    assert without > 0, "the test has something to test"


@pytest.mark.parametrize("text, expect", [("the cat sat", 0), ("the <image> sat", 65)])
def test_a_token_without_a_row(text, expect, tmp_path):
    """One more special token than the model has rows matters only where it is read."""
    model, tokenizer = made(tmp_path / "model", more_tokens=["<image>"])
    pairs = lines(tmp_path / "p", [{"prompt": text, "answer": " on the mat"}])
    got = cmc("score", "--model", tmp_path / "model", "--pairs", pairs, expect=expect)
    if expect:
        assert "vocabulary" in got
        return
    prompt = tokenizer(text).input_ids
    answer = tokenizer(" on the mat", add_special_tokens=False).input_ids
    with torch.no_grad():
        scores = torch.log_softmax(model(torch.tensor([prompt + answer])).logits[0].float(), -1)
    theirs = sum(scores[len(prompt) - 1 + i, token].item() for i, token in enumerate(answer))
    assert got[0]["logprob"] == pytest.approx(theirs, rel=1e-4)


def test_another_models_tokenizer_is_refused(tmp_path):
    made(tmp_path / "model")
    made(tmp_path / "other", more_rows=-200)
    for file in (tmp_path / "model").glob("tokenizer*"):
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    pairs = lines(tmp_path / "p", [{"prompt": "the", "answer": " cat"}])
    assert "tokenizer" in cmc("score", "--model", tmp_path / "other", "--pairs", pairs, expect=65)
