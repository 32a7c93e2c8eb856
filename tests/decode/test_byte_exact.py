"""What a delta says of the base's tokens without a map, against a recursion over all ways to write them."""

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


@pytest.mark.parametrize("base, delta", [("byte_base", "llama_delta"), ("gemma_base", "byte_delta"), ("llama_base", "gemma_delta")])
def test_equals_the_sum_over_all_ways_to_write_a_token(checkpoints, base, delta, tmp_path):
    specification, reference = checkpoints.delta(base, [(delta, 1.0)])
    contexts = [tuple(reference.tokenizer.encode(prompt).ids) for prompt in (PROMPTS[0], PROMPTS[2])]
    got = probe("byte_exact", {"base": checkpoints.folders[base], "deltas": [specification], "contexts": contexts}, tmp_path)
    tokens, own = bytes_of(checkpoints.tokenizers[base]), bytes_of(reference.tokenizer)
    writer, draw = Writer(checkpoints.models[delta], own), random.Random(2)
    long = sorted(range(len(tokens)), key=lambda i: -len(tokens[i]))
    long = [i for i in long if len(tokens[i]) <= 7][:6]
    for context, log_probs in zip(contexts, got):
        assert len(log_probs) == len(tokens)
        for token in long + draw.sample([i for i in range(len(tokens)) if 0 < len(tokens[i]) <= 6], 25):
            truth = writer.probability(tokens[token], context)
            if truth > 1e-9:
                assert math.exp(log_probs[token]) == pytest.approx(truth, rel=2e-3, abs=2e-6), tokens[token]
        for ours, theirs in roles(base, delta):
            assert log_probs[ours] == pytest.approx(math.log(writer.after(context)[theirs]), abs=1e-3)


def test_one_byte_tokens_share_out_everything_that_is_no_mark(checkpoints, tmp_path):
    """Whatever comes next begins with some byte."""
    specification, reference = checkpoints.delta("byte_base", [("gemma_delta", 1.0)])
    context = tuple(reference.tokenizer.encode(PROMPTS[0]).ids)
    got = probe("byte_exact", {"base": checkpoints.folders["byte_base"], "deltas": [specification], "contexts": [context]}, tmp_path)[0]
    tokens, own = bytes_of(checkpoints.tokenizers["byte_base"]), bytes_of(reference.tokenizer)
    single = {tokens[i]: i for i in range(len(tokens)) if len(tokens[i]) == 1}
    assert len(single) == 256
    writer = Writer(checkpoints.models["gemma_delta"], own)
    texts = sum(p for p, written in zip(writer.after(context), own) if written)
    assert sum(math.exp(got[i]) for i in single.values() if got[i] is not None) == pytest.approx(texts, rel=1e-4)
