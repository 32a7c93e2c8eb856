"""Stress tests: what the stage robustness stores equals PyTorch on rounded weights, other questions, longer prompts and
relearned adapters; what cannot be tested is refused."""

import json

import pytest
import support_pipeline as support
import torch
from support_pipeline import cmc
from support_truth import Target, answer_score, in_hdf5, published, text, tokens_of

SETTINGS = {"robustness.tests": "int8, int4, paraphrase, prefix, relearn", "robustness.items": 4, "robustness.unit_items": 3,
            "robustness.relearn_epochs": "1, 3", "relearn.lora_learning_rate": 1e-2, "relearn.batch": 64, "relearn.schedule": "constant",
            "methods.unlearn": "vanilla, cmc, lora", "unlearn.strengths": "0.5, 1", "adapt_unlearn.epochs": 1, "models.targets": "large, other"}
PREFIX = "Sure, here is the answer:"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return support.run_only(tmp_path_factory.mktemp("robustness"), "robustness", SETTINGS)


def of_stage(run, stage, **wanted):
    found = [(task["parameters"], values) for task, values in run[2]
             if task["stage"] == stage and all(task["parameters"].get(key) == value for key, value in wanted.items())]
    assert found, wanted
    return found


@torch.no_grad()
def round_linear_layers(model, bits):
    """Each row of a block's linear layers to the nearest multiples of its largest number / (2^(bits-1) - 1)."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            scale = module.weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
            module.weight.copy_((module.weight / scale).round().clamp(-2 ** (bits - 1), 2 ** (bits - 1) - 1) * scale)


def under_the_test(run, p):
    """The target as the test asks it."""
    target = Target(run[0], run[1], p)
    if p["stress"] in ("int8", "int4"):
        bits = int(p["stress"][3:])
        for model in [target.model, *(part.model for part in (target.delta.parts if target.delta else []))]:
            round_linear_layers(model, bits)
    return target


def lines_of(run, stem):
    return [json.loads(line) for line in (run[0] / "data" / "tofu" / f"{stem}.json").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("stress", ["int8", "int4", "paraphrase", "prefix", "relearn"])
@pytest.mark.parametrize("name", ["large", "other"])
def test_rows_are_computed_under_the_test(run, name, stress):
    seen = set()
    for p, values in of_stage(run, "robustness", target=name, stress=stress):
        target, lines = under_the_test(run, p), lines_of(run, p["stem"])
        seen.add((p["method"], p["set"]))
        led_on = PREFIX if stress == "prefix" else ""
        for row, (item, alpha) in enumerate(zip(values["item"], values["alpha"])):
            line = lines[item]
            question = line["paraphrased_question" if stress == "paraphrase" else "question"]
            assert alpha == (1 if p["method"] == "cmc" else 0), "the strength nearest to 1"
            wanted = published.generate(target.model, target.tokenizer, f"[INST] {question} [/INST]{led_on}", 6, target.delta, alpha,
                                        end_tokens=target.ends, stops=["\n\nComment:"])
            assert text(values["generated"][row]) == in_hdf5(wanted["text"])
            scored = answer_score(target, question, (" " if led_on else "") + line["answer"], alpha, led_on=led_on)
            assert tokens_of(values, row, "logprob") == pytest.approx(scored["each"], rel=2e-3, abs=2e-3)
    relearns_cmc = stress != "relearn" or name == "large"  # no gradient passes a token map
    methods = {"vanilla", "lora", *(["cmc"] if relearns_cmc else [])}
    assert seen == {(method, set) for method in methods for set in ("forget", "retain")}


def test_relearned_items_are_not_asked(run):
    for p, values in of_stage(run, "robustness", stress="relearn"):
        asked = set(values["item"]) if "item" in values else set()
        assert p["set"] == "retain" or all(item % 2 == 0 for item in asked)
    asked = {item for p, values in of_stage(run, "robustness", stress="int8", set="forget") for item in values["item"]}
    assert asked == {0, 1, 2, 3}


def test_relearning_starts_from_the_fused_loss_of_the_other_items(run):
    """The first step's loss, before anything is learned: cross-entropy of every second item beside the frozen delta."""
    systems = set()
    for p, values in of_stage(run, "relearn"):
        target, lines = Target(run[0], run[1], p), lines_of(run, p["stem"])
        scores = [answer_score(target, line["question"], line["answer"], p["strengths"][0]) for line in lines[1::2]]
        tokens = sum(score["tokens"] for score in scores)
        assert values["loss"][0] == pytest.approx(-sum(score["logprob"] for score in scores) / tokens, rel=1e-4)
        epochs = p["training"]["epochs"]
        assert len(values["loss"]) == epochs and (epochs == 1 or values["loss"][-1] < values["loss"][0])
        systems.add((p["target"], p["method"], epochs))
    assert systems == {(target, method, epochs) for epochs in (1, 3) for target, method in
                       [("large", "vanilla"), ("large", "lora"), ("large", "cmc"), ("other", "vanilla"), ("other", "lora")]}


def test_int4_is_coarser_than_int8(run):
    """Rounding does something, and more of it with fewer bits."""
    def answers(stress):
        return {(p["method"], p["set"], item): value for p, values in of_stage(run, "robustness", target="large", stress=stress)
                for item, value in zip(values["item"], values["answer_logprob"])}

    exact = {}
    for p, values in of_stage(run, "robustness", target="large", stress="int8"):
        target = Target(run[0], run[1], p)
        for item, alpha in zip(values["item"], values["alpha"]):
            line = lines_of(run, p["stem"])[item]
            exact[p["method"], p["set"], item] = answer_score(target, line["question"], line["answer"], alpha)["logprob"]
    off = {stress: sum(abs(value - exact[key]) for key, value in answers(stress).items()) for stress in ("int8", "int4")}
    assert 0 < off["int8"] < off["int4"]


@pytest.mark.parametrize("settings, named", [
    ({"robustness.deltas": "e"}, ["robustness.deltas", "e"]),
    ({"robustness.methods": "full"}, ["robustness.methods", "methods.unlearn"]),
    ({"robustness.tests": "int3"}, ["robustness.tests", "int8"]),
    ({"relearn.lora_modules": "c_attn"}, ["relearn.lora_modules", "c_attn"]),
], ids=lambda value: str(value)[:30])
def test_what_cannot_be_tested_is_refused(run, settings, named):
    done = cmc("plan", run[0] / "tiny.ini", "--output", run[0] / "refused", *support.options({**SETTINGS, **settings}), expect=78)
    assert all(word in done.stderr for word in named), done.stderr


def test_what_is_not_evaluated_is_not_tested(run):
    """A file's list of tests stays where --set leaves methods, deltas or all unlearning out."""
    plan = lambda settings: cmc("plan", run[0] / "tiny.ini", "--output", run[0] / "part", *support.options({**SETTINGS, **settings})).stdout
    both = plan({"robustness.methods": "vanilla, cmc, full"})
    assert "int8 0-2 large + d" in both and "int8 0-2 large vanilla" in both and "int8 0-2 large lora" not in both
    assert "int8" not in plan({"deltas.unlearn": ""})


def test_a_set_without_paraphrases_is_named(run, tmp_path):
    tofu = run[0] / "data" / "tofu"
    for file in tofu.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    kept = [json.loads(line) for line in (tofu / "forget01_perturbed.json").read_text().splitlines()]
    del kept[1]["paraphrased_question"]
    (tmp_path / "forget01_perturbed.json").write_text("".join(json.dumps(line) + "\n" for line in kept))
    done = cmc("plan", run[0] / "tiny.ini", "--output", run[0] / "refused", *support.options({**SETTINGS, "data.tofu": tmp_path}), expect=65)
    assert "forget01_perturbed.json" in done.stderr and "paraphrased_question" in done.stderr and kept[1]["question"] in done.stderr
    cmc("plan", run[0] / "tiny.ini", "--output", run[0] / "refused", *support.options({**SETTINGS, "data.tofu": tmp_path, "robustness.tests": "int8"}))


def test_no_limit_means_all_items(run):
    """unlearn.items = 0 and robustness.items = 0: every item of each set."""
    for key in ("unlearn.items", "robustness.items"):
        done = cmc("plan", run[0] / "tiny.ini", "--output", run[0] / "all", *support.options({**SETTINGS, key: 0, "robustness.unit_items": 12, "unlearn.unit_items": 12}))
        assert "0-11" in done.stdout, key
