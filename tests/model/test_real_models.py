"""SmolLM2-135M-Instruct and Gemma 3 270M give transformers' logits and greedy tokens, in float32."""

import json

import outside
import pytest
import torch

from support_model import REAL, load_reference, real_folder, reference_logits, worst

LIMIT = 1e-3


@pytest.fixture(scope="module", params=sorted(REAL))
def real(request):
    from transformers import AutoTokenizer

    folder = real_folder(request.param)
    return folder, load_reference(folder), AutoTokenizer.from_pretrained(folder)


def prompts(tokenizer, count):
    with open(outside.data("alpaca_eval", "alpaca_eval.json"), encoding="utf-8") as file:
        return [tokenizer(item["instruction"]).input_ids[:120] for item in json.load(file)[:count]]


def test_logits(real, probe, tmp_path):
    """256 positions: in one pass, and from a prompt on token by token with a cut back and a neighbour in the cache."""
    folder, model, tokenizer = real
    text = [token for prompt in prompts(tokenizer, 40) for token in prompt][:256]
    assert len(text) == 256
    theirs = reference_logits(model, text)
    whole, = probe.logits(folder, [{"spans": [[0, text]]}], tmp_path)
    assert worst(whole, theirs) < LIMIT
    calls = [{"spans": [[2, text[:200]], [0, text[50:90]]]}]
    calls += [{"spans": [[0, [text[90 + i]]], [2, [text[200 + i]]]]} for i in range(16)]
    calls += [{"truncate": [[2, 180]], "spans": [[2, text[180:256]]]}]
    steps = probe.logits(folder, calls, tmp_path, slots=3, capacity=256)
    neighbour = reference_logits(model, text[50:106])
    assert worst(steps[0][:200], theirs[:200]) < LIMIT
    for i in range(16):
        assert worst(steps[1 + i], torch.stack([neighbour[40 + i], theirs[200 + i]])) < LIMIT
    assert worst(steps[-1], theirs[180:]) < LIMIT


def test_greedy_tokens(real, probe):
    """48 greedy tokens of 20 prompts, decoded 16 at a time, are transformers' greedy tokens: each is its first choice
    after the prompt and our tokens before (by induction, what generate would give), in one pass a prompt."""
    folder, model, tokenizer = real
    texts = prompts(tokenizer, 20)
    ours = probe.value("greedy", model=str(folder), prompts=texts, new=48, batch=16)["ids"]
    assert len(ours) == 20 and all(len(tokens) == 48 for tokens in ours)
    for text, tokens in zip(texts, ours):
        with torch.no_grad():
            logits = model(torch.tensor([text + tokens]), logits_to_keep=49).logits[0]
        assert tokens == logits[:-1].argmax(-1).tolist()
