"""Evaluation on held-out examples as a training goes: its losses against PyTorch, the weights it ends with, and what
it must not change."""
import shutil

import pytest
from safetensors.torch import load_file
import torch

from reference import Reference, load, make_examples, make_model, make_refusals, run_probe

# A constant rate: a shorter training is the beginning of a longer one, so that its weights can be had at any step.
SETTINGS = {"objective": "cross_entropy", "batch": 3, "accumulation": 2, "epochs": 4, "learning_rate": 5e-3,
            "schedule": "constant", "warmup_steps": 2, "max_gradient_norm": 1.0, "seed": 11, "evaluate_every": 3}
EXAMPLES, HELD_OUT, STEPS = 31, 5, 20
FORGET = {"grad_diff": "grad_diff", "bounded": "grad_diff_bounded", "ascent": "grad_ascent", "idk": "idk", "dpo": "dpo",
          "npo": "npo_grad_diff", "simnpo": "simnpo", "undial": "undial_grad_diff", "satimp": "satimp", "ceu": "ceu",
          "kl": "kl", "uniform": "remember_uniform"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("held_out")
    examples = make_examples(5, EXAMPLES)
    return {"template": make_model(root / "template", 1, 32, 2, 4, 2),
            "delta": make_model(root / "delta", 2, 16, 2, 2, 2), "examples": examples, "retain": make_examples(6, 17),
            "refusals": make_refusals(7, examples, 2)}


def request(world, settings, held_out=HELD_OUT, command="train", **more):
    return {"command": command, "trained": world["delta"], "frozen": [{"folder": world["template"]}],
            "held_out": held_out, **{name: world[name] for name in ("examples", "retain", "refusals")},
            "settings": settings, **more}


def trained(world, tmp_path, name, settings, ranks=None, **more):
    """(answer, published weights)."""
    output = tmp_path / name
    answer = run_probe(tmp_path, request(world, settings, output=str(output), tokenizer=world["delta"], **more),
                       ranks=ranks)
    return answer, load(output).state_dict()


def same_bits(a, b):
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


def held_out_step(settings):
    """Micro-batches of the held-out examples in order, by index into the lists of data()."""
    places = list(range(HELD_OUT))
    batches = [places[at:at + settings["batch"]] for at in range(0, HELD_OUT, settings["batch"])]
    objective = settings["objective"]
    retains = objective in ("grad_diff", "grad_diff_bounded", "idk", "npo_grad_diff", "simnpo", "undial_grad_diff",
                            "satimp", "kl", "remember_uniform")
    return [{"examples": batch if objective != "idk" else [], "retain": batch if retains else [],
             "refusals": batch if objective in ("idk", "dpo") else []} for batch in batches]


def data(world):
    """The held-out examples: the last of each list, of refusals the last of the first draw."""
    return {"examples": world["examples"][-HELD_OUT:], "retain": world["retain"][-HELD_OUT:],
            "refusals": world["refusals"][EXAMPLES - HELD_OUT:EXAMPLES]}


def truth(world, settings, state):
    """What PyTorch computes with these weights: the objective, and the mean cross-entropies of its parts."""
    reference = Reference(world["delta"], [{"folder": world["template"]}], settings.get("alpha", 1.0))
    reference.trained.load_state_dict(state)
    step = held_out_step(settings)
    pick = lambda batch, which: [data(world)[which][i] for i in batch[which]]
    with torch.no_grad():
        mean = lambda which: sum(reference.cross_entropy(pick(batch, which)).item() for batch in step) / len(step) \
            if step[0][which] else 0.0
        return {"loss": float(reference.loss(step, data(world), settings)), "examples_loss": mean("examples"),
                "refusals_loss": mean("refusals"), "retain_loss": mean("retain")}


@pytest.mark.parametrize("objective", ["cross_entropy", *FORGET.values()])
def test_losses_are_those_of_the_weights_at_each_step(world, tmp_path, objective):
    settings = {**SETTINGS, "objective": objective, "learning_rate": 2e-2 if objective == "cross_entropy" else 5e-3,
                "evaluate_every": 8}
    answer, best = trained(world, tmp_path, "all", {**settings, "keep": "best"})
    assert [each["step"] for each in answer["held_out"]] == [8, 16, STEPS], "every so many, and after the last"
    states = []
    for mine in answer["held_out"]:
        _, state = trained(world, tmp_path, f"until{mine['step']}", {**settings, "max_steps": mine["step"]})
        theirs = truth(world, settings, state)
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5, abs=1e-6)
        for part in ("examples_loss", "refusals_loss") + (("retain_loss",) if objective not in ("kl", "remember_uniform") else ()):
            assert mine[part] == pytest.approx(theirs[part], rel=1e-5), part
        states.append((theirs["loss"], state))
    assert same_bits(best, min(states, key=lambda each: each[0])[1]), "the weights after the best step"


def overfitting(**more):
    """Its held-out loss falls and rises again."""
    return {**SETTINGS, "learning_rate": 2e-2, "evaluate_every": 2, "keep": "best", **more}


def best_step(answer):
    return min(answer["held_out"], key=lambda each: each["loss"])["step"]


def test_the_best_is_in_the_middle(world, tmp_path):
    answer, best = trained(world, tmp_path, "best", overfitting())
    step = best_step(answer)
    assert 2 <= step < STEPS, "the others check nothing otherwise"
    assert same_bits(best, trained(world, tmp_path, "until", overfitting(keep="last", max_steps=step))[1])
    assert not same_bits(best, trained(world, tmp_path, "last", overfitting(keep="last"))[1])


def test_evaluating_changes_no_training(world, tmp_path):
    """As if the held-out examples had never been there."""
    settings = {**SETTINGS, "objective": "dpo"}
    evaluated, weights = trained(world, tmp_path, "evaluated", settings)
    kept = EXAMPLES - HELD_OUT
    less = {**world, "examples": world["examples"][:kept], "retain": world["retain"][:-HELD_OUT],
            "refusals": world["refusals"][:kept] + world["refusals"][EXAMPLES:EXAMPLES + kept]}
    plain, others = trained(less, tmp_path, "plain", {**settings, "evaluate_every": 0}, held_out=0)
    assert same_bits(weights, others) and plain["held_out"] == [] and len(evaluated["held_out"]) == 7
    untimed = lambda answer: [{k: v for k, v in report.items() if k != "seconds"} for report in answer["reports"]]
    assert untimed(plain) == untimed(evaluated)


@pytest.mark.parametrize("kill_after", [3, 7, 13, 19])
def test_killed_training_keeps_the_same_best(world, tmp_path, kill_after):
    settings = overfitting(checkpoint_every=3)
    straight, weights = trained(world, tmp_path, "straight", settings)
    folder = tmp_path / "checkpoints"
    run_probe(tmp_path, request(world, settings, checkpoints=str(folder), kill_after=kill_after), expect=-9)
    assert len(list(folder.glob("step-*"))) == (kill_after > 3)
    resumed, others = trained(world, tmp_path, "resumed", settings, checkpoints=str(folder))
    assert resumed["held_out"] == straight["held_out"] and same_bits(weights, others)


def test_stopped_behind_the_best_on_other_ranks(world, tmp_path):
    settings = overfitting(shares=4)
    straight, weights = trained(world, tmp_path, "straight", settings)
    stopped = best_step(straight) + 2
    assert stopped < STEPS
    folder = tmp_path / "checkpoints"
    run_probe(tmp_path, request(world, settings, checkpoints=str(folder), stop_after=stopped), expect=75)
    best = folder / f"step-{stopped:08d}" / "best.safetensors"
    kept = load_file(best)
    assert sum(t.numel() for t in kept.values()) == sum(p.numel() for p in load(world["delta"]).parameters())
    damaged = shutil.copytree(folder, tmp_path / "damaged") / best.parent.name / best.name
    damaged.write_bytes(damaged.read_bytes()[::-1])
    assert "best.safetensors" in run_probe(tmp_path, request(world, settings, checkpoints=str(tmp_path / "damaged")), expect=65)
    other = request(world, {**settings, "keep": "last"}, checkpoints=str(folder))
    assert "other settings" in run_probe(tmp_path, other, expect=65)
    other = request({**world, "examples": world["examples"][:-1] + world["examples"][:1]}, settings, checkpoints=str(folder))
    assert "other settings" in run_probe(tmp_path, other, expect=65), "other held-out examples are another training"
    resumed, others = trained(world, tmp_path, "resumed", settings, ranks=2, checkpoints=str(folder))
    assert resumed["held_out"] == straight["held_out"] and same_bits(weights, others)


@pytest.mark.parametrize("objective", ["cross_entropy", "kl", "dpo"])
def test_any_number_of_ranks_gives_the_same_bits(world, tmp_path, objective):
    settings = overfitting(objective=objective, shares=4, batch=2, epochs=2, learning_rate=5e-3)
    alone, weights = trained(world, tmp_path, "alone", settings)
    for ranks in (2, 4):
        answer, several = trained(world, tmp_path, f"ranks{ranks}", settings, ranks=ranks)
        assert answer["held_out"] == alone["held_out"] and same_bits(weights, several), ranks


def test_one_pass_of_many_micro_batches(world, tmp_path):
    for objective in ("grad_diff", "undial_grad_diff"):
        settings = {**SETTINGS, "objective": objective}
        alone, _ = trained(world, tmp_path, f"alone {objective}", settings)
        joined, _ = trained(world, tmp_path, f"joined {objective}", {**settings, "pass_tokens": 1000})
        for mine, theirs in zip(joined["held_out"], alone["held_out"], strict=True):
            for part, value in theirs.items():
                assert mine[part] == pytest.approx(value, rel=1e-4), (objective, part)


def test_nothing_is_dropped_out(world, tmp_path):
    adapters = {"rank": 4, "alpha": 16, "dropout": 0.7, "targets": ["q_proj", "down_proj"], "seed": 3}
    settings = {**SETTINGS, "evaluate_every": 4, "max_steps": 4, "learning_rate": 5e-2}
    answer = run_probe(tmp_path, request(world, settings, adapters=adapters, output=str(tmp_path / "out"),
                                         tokenizer=world["delta"]))
    reference = Reference(world["delta"], [{"folder": world["template"]}], adapters=str(tmp_path / "out"))
    with torch.no_grad():
        step = held_out_step(settings)
        assert answer["held_out"][0]["loss"] == pytest.approx(float(reference.loss(step, data(world), settings)), rel=1e-5)


def test_the_held_out_are_the_last_and_never_trained_on(world, tmp_path):
    for batch in sum(run_probe(tmp_path, request(world, {**SETTINGS, "objective": "idk"}, command="batches"))["steps"], []):
        assert all(i < 17 - HELD_OUT for i in batch["retain"])
        assert all(i < 2 * (EXAMPLES - HELD_OUT) for i in batch["refusals"]), "of two draws"
    examples = sum((batch["examples"] for step in run_probe(tmp_path, request(world, SETTINGS, command="batches"))["steps"]
                    for batch in step), [])
    assert set(examples) == set(range(EXAMPLES - HELD_OUT))


def test_bad_input_is_named(world, tmp_path):
    assert "31 are held out" in run_probe(tmp_path, request(world, SETTINGS, held_out=31), expect=65)
    assert "retain examples" in run_probe(tmp_path, request(world, SETTINGS, held_out=17), expect=65)
    for wrong in ({"evaluate_every": -1}, {"keep": "best", "evaluate_every": 0}, {"keep": "first"}):
        error = run_probe(tmp_path, request(world, {**SETTINGS, **wrong}), expect=78)
        assert list(wrong)[0] in error, error
