"""What a delta says of the base's tokens without a map, against a recursion over all ways to write them: that the next bytes are a
token's, less that they go on to a longer one's."""

import math
import random

import pytest
import torch
from test_published import PROMPTS, Checkpoints, probe, published, roles


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return Checkpoints(tmp_path_factory.mktemp("checkpoints"))


def bytes_of(tokenizer):
    """Per id the bytes it stands for; b"" for marks."""
    return [b"" if kind == "special" else form if isinstance(form, bytes) else form.replace("\u2581", " ").encode()
            for kind, form in published.written_forms(tokenizer)]


def next_longer(wanted, tokens):
    """The bytes of tokens that go on from these, but for those that go on from one of them."""
    longer = sorted({t for t in tokens if t.startswith(wanted) and len(t) > len(wanted)}, key=len)
    found = []
    for token in longer:
        if not any(token.startswith(shorter) for shorter in found):
            found.append(token)
    return found


class Writer:
    """P(the next bytes begin with b | tokens so far), summed over every way to write them in the delta's tokens."""

    def __init__(self, model, tokens):
        self.model, self.tokens, self.known = model, list(enumerate(tokens)), {}

    def after(self, context):
        if context not in self.known:
            with torch.no_grad():
                self.known[context] = self.model(torch.tensor([context])).logits[0, -1].double().softmax(0).tolist()
        return self.known[context]

    def probability(self, wanted, context):
        next_token, total = self.after(context), 0.0
        for token, written in self.tokens:
            if written.startswith(wanted):
                total += next_token[token]
            elif written and wanted.startswith(written):
                total += next_token[token] * self.probability(wanted[len(written):], (*context, token))
        return total


    def longest(self, wanted, context, tokens):
        return self.probability(wanted, context) - sum(self.probability(longer, context) for longer in next_longer(wanted, tokens))


@pytest.mark.parametrize("base, delta", [("byte_base", "llama_delta"), ("gemma_base", "byte_delta"), ("llama_base", "gemma_delta")])
def test_equals_the_sum_over_all_ways_to_write_a_token(checkpoints, base, delta, tmp_path):
    specification, reference = checkpoints.delta(base, [(delta, 1.0)])
    contexts = [tuple(reference.tokenizer.encode(prompt).ids) for prompt in (PROMPTS[0], PROMPTS[2])]
    got = probe("byte_exact", {"base": checkpoints.folders[base], "deltas": [specification], "contexts": contexts}, tmp_path)
    tokens, own = bytes_of(checkpoints.tokenizers[base]), bytes_of(reference.tokenizer)
    writer, draw = Writer(checkpoints.models[delta], own), random.Random(2)
    short = [i for i in range(len(tokens)) if 0 < len(tokens[i]) <= 6 and len(next_longer(tokens[i], tokens)) <= 8]
    going_on = [i for i in short if next_longer(tokens[i], tokens) and max(map(len, next_longer(tokens[i], tokens))) <= 6]
    long = sorted((i for i in range(len(tokens)) if len(tokens[i]) == 7), key=lambda i: tokens[i])[:3]
    assert len(going_on) > 5
    for context, log_probs in zip(contexts, got):
        assert len(log_probs) == len(tokens)
        for token in long + draw.sample(short, 6) + draw.sample(going_on, 4):
            truth = writer.longest(tokens[token], context, tokens)
            if truth > 1e-9:
                found = 0 if log_probs[token] is None else math.exp(log_probs[token])
                assert found == pytest.approx(truth, rel=2e-3, abs=2e-6), tokens[token]
        for ours, theirs in roles(base, delta):
            assert log_probs[ours] == pytest.approx(math.log(writer.after(context)[theirs]), abs=1e-3)


def test_tokens_share_out_everything_that_is_no_mark(checkpoints, tmp_path):
    """Whatever comes next begins with some byte, and each has a token."""
    specification, reference = checkpoints.delta("byte_base", [("gemma_delta", 1.0)])
    context = tuple(reference.tokenizer.encode(PROMPTS[0]).ids)
    got = probe("byte_exact", {"base": checkpoints.folders["byte_base"], "deltas": [specification], "contexts": [context]}, tmp_path)[0]
    tokens, own = bytes_of(checkpoints.tokenizers["byte_base"]), bytes_of(reference.tokenizer)
    assert len({t for t in tokens if len(t) == 1}) == 256
    writer = Writer(checkpoints.models["gemma_delta"], own)
    texts = sum(p for p, written in zip(writer.after(context), own) if written)
    shares = {t: math.exp(log_prob) for t, log_prob in zip(tokens, got) if t and log_prob is not None}
    assert sum(shares.values()) == pytest.approx(texts, rel=1e-4)
