"""The stage byte_exact's rows: both fused distributions made again by transformers, the exact one by summing over all ways to
write each base token, less what goes on to a longer one. And what token maps cover of the texts that are scored."""

import json
import sys

import numpy as np
import pytest
import support_pipeline as support
import torch
from support_pipeline import HERE, cmc
from support_truth import Target, published

sys.path.insert(0, str(HERE.parent / "decode"))
from test_byte_exact import Writer, bytes_of, next_longer  # noqa: E402

SETTINGS = {"byte_exact.items": 2, "byte_exact.tokens": 2, "token_map.method": "pm_mined, exact_only, min_ed, prefix_sum, top_union", "fusion.unmapped": "zero, minimum",
            "models.targets": "large, other", "train_instruct.epochs": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return support.run_only(tmp_path_factory.mktemp("byte_exact"), "byte_exact,token_map", SETTINGS)


def exact_shift(target, context):
    """[V] the delta's log-probability of each base token's bytes; 0 for what it cannot write."""
    writer, tokens = Writer(target.delta.parts[0].model, bytes_of(target.delta.tokenizer)), bytes_of(target.tokenizer)
    begins = {written: writer.probability(written, context) for written in set(tokens) if written}
    own = {written: begins[written] - sum(begins[longer] for longer in next_longer(written, tokens)) for written in begins}
    shift = [np.log(max(own[written], 1e-300)) if written else 0.0 for written in tokens]
    roles = {1: 1, 2: 0}  # begin and end of `other` and of `small` (tiny_checkpoints.py)
    for ours, theirs in roles.items():
        shift[ours] = np.log(writer.after(context)[theirs])
    return torch.tensor(shift, dtype=torch.float64)


def test_rows_are_those_of_both_distributions(run):
    root, output, units = run
    tasks = [(task["parameters"], values) for task, values in units if task["stage"] == "byte_exact"]
    assert {(p["target"], p["map_method"], p["unmapped"]) for p, _ in tasks} == {
        ("other", *variant) for variant in [("pm_mined", "zero"), ("exact_only", "zero"), ("min_ed", "zero"), ("prefix_sum", "zero"), ("top_union", "zero"),
                                           ("pm_mined", "minimum")]}
    prompts = json.loads((root / "data" / "alpaca_eval.json").read_text())
    shifts = {}
    for p, values in tasks:
        target = Target(root, output, p)
        assert list(values["item"]) == [0, 1] and set(values["alpha"]) == {1}
        for item in (0, 1):
            question, reference = prompts[item]["instruction"], prompts[item]["output"]
            base_ids, answer = target.tokenizer.encode(question).ids, target.tokenizer.encode(reference, add_special_tokens=False).ids[:2]
            reads = target.delta.tokenizer.encode(f"<|user|>\n{question}\n<|assistant|>\n").ids
            divergences, same = [], 0
            for at in range(len(answer)):
                context = (*reads, *target.delta.tokenizer.encode(target.tokenizer.decode(answer[:at]), add_special_tokens=False).ids)
                with torch.no_grad():
                    base = target.model(torch.tensor([base_ids + answer[:at]])).logits[0, -1]
                    own = target.delta.parts[0].model(torch.tensor([context])).logits[0, -1]
                if (item, at) not in shifts:
                    shifts[item, at] = exact_shift(target, context)
                exact = (base.double().log_softmax(0) + shifts[item, at]).log_softmax(0)
                mapped = published.fuse(base, [own], target.delta, 1.0, "base_normalized").double().log_softmax(0)
                divergences.append(float((exact.exp() * (exact - mapped)).sum()))
                same += int(exact.argmax() == mapped.argmax())
            row = list(values["item"]).index(item)
            assert values["compared"][row] == len(answer) and values["same_choice"][row] == same
            assert values["divergence"][row] == pytest.approx(sum(divergences), rel=5e-3, abs=1e-3)


def test_coverage_in_use_counts_the_texts_tokens(run):
    root, _, units = run
    tokenizer = published.load_tokenizer(root / "other")
    outputs = [item["output"] for item in json.loads((root / "data" / "alpaca_eval.json").read_text())]
    answers = [json.loads(line)["answer"] for line in (root / "data" / "tofu" / "forget01_perturbed.json").read_text().splitlines()]
    tokens = [token for each in outputs + answers for token in tokenizer.encode(each, add_special_tokens=False).ids]
    maps = [(task["parameters"], values) for task, values in units if task["stage"] == "token_map"]
    assert {p["method"] for p, _ in maps} == {"pm_mined", "exact_only", "min_ed", "prefix_sum"}
    for _, values in maps:
        kinds = [int((values["match"][tokens] == kind).sum()) for kind in (2, 1, 0)]
        assert [int(values[f"used_{name}"][0]) for name in ("exact", "inexact", "unmapped")] == kinds
