"""The stage likelihood's rows against the published algorithm, which pairs they are of, and the control that is trained on answers to
other questions."""

import json

import pytest
import support_pipeline as support
from support_pipeline import cmc
from support_truth import Target, published

SETTINGS = {"train_instruct.items": 7, "likelihood.choice_items": 2, "likelihood.items": 3, "likelihood.unit_items": 2, "models.targets": "small, other",
            "train_instruct.epochs": 1, "methods.instruct": "vanilla, lora, cmc", "adapt_instruct.epochs": 1, "deltas.instruct": "d, control",
            "delta.control.hidden": 16, "delta.control.layers": 2, "delta.control.heads": 2, "delta.control.intermediate": 32,
            "delta.control.answers_of_others": "yes"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return support.run_only(tmp_path_factory.mktemp("likelihood"), "likelihood", SETTINGS)


def question_of(pair):
    return pair["instruction"].strip() + ("\n\n" + pair["input"].strip() if pair.get("input", "").strip() else "")


def test_rows_are_those_of_the_pairs_after_the_trained_ones(run):
    root, output, units = run
    pairs = json.loads((root / "data" / "alpaca.json").read_text())
    asked = {}
    for p, values in [(task["parameters"], values) for task, values in units if task["stage"] == "likelihood"]:
        asked.setdefault((p["target"], p["method"], p.get("delta", ""), p["part"]), set()).update(values["item"].tolist())
        target = Target(root, output, p)
        for row, (item, alpha) in enumerate(zip(values["item"], values["alpha"])):
            question, answer = question_of(pairs[item]), pairs[item]["output"].strip()
            written = f"<|user|>\n{question}\n<|assistant|>\n"
            base = question if p["target"] == "other" and p["method"] != "lora" else written
            ids = target.tokenizer.encode(base).ids
            whole = ids + target.tokenizer.encode(answer, add_special_tokens=False).ids + target.ends[:1]
            score = published.score_ids(target.model, target.tokenizer, whole, len(ids), target.delta, alpha,
                                        delta_prompt=written if target.reads_own_prompt() else None)
            assert values["answer_tokens"][row] == score["tokens"]
            assert values["answer_logprob"][row] == pytest.approx(score["logprob"], rel=1e-3)
            assert values["end_logprob"][row] == pytest.approx(score["each"][-1], rel=1e-3)
    systems = [("vanilla", ""), ("lora", ""), ("cmc", "d"), ("cmc", "control")]
    assert asked == {(target, *system, part): items for target in ("small", "other") for system in systems
                     for part, items in (("choice", {7, 8}), ("unread", {9, 10, 11})) if part == "unread" or system[1]}


def test_the_control_is_another_training_of_the_same_data(run):
    _, _, units = run
    trained = {task["parameters"]["trained"]: (task["parameters"]["data"], values["loss"].tolist()) for task, values in units if task["stage"] == "train"}
    assert trained["control"][0] == {**trained["d"][0], "answers_of_others": True}
    assert trained["control"][1] != trained["d"][1]


def test_pairs_that_are_trained_on_are_refused(tmp_path):
    done = cmc("plan", support.make_world(tmp_path), "--output", tmp_path / "run", *support.options({**SETTINGS, "likelihood.items": 4}), expect=78)
    assert "likelihood.items" in done.stderr and "of 12 are 7 trained on" in done.stderr and "set train_instruct.items to 6 or less" in done.stderr
