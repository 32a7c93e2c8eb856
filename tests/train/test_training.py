"""Losses, gradients and updates of pipeline/train against a straightforward PyTorch/transformers training."""
import json
import pathlib

import pytest
import torch
import transformers

from reference import VOCABULARY, Reference, load, make_examples, make_model, make_refusals, run_probe

SETTINGS = {"objective": "cross_entropy", "batch": 3, "accumulation": 2, "epochs": 4, "learning_rate": 5e-3,
            "schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.05, "max_gradient_norm": 1.0, "seed": 11}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("train")
    return {"root": root, "template": make_model(root / "template", 1, 32, 2, 4, 2),
            "delta": make_model(root / "delta", 2, 16, 2, 2, 2),
            "anti": make_model(root / "anti", 3, 16, 1, 2, 1, tied=False),
            "examples": make_examples(5, 31), "retain": make_examples(6, 17),
            "refusals": make_refusals(7, make_examples(5, 31), 2)}


WITH_RETAIN = ("grad_diff", "grad_diff_bounded", "kl", "idk", "npo_grad_diff", "simnpo", "wga", "satimp",
               "undial_grad_diff", "remember_uniform")
WITH_REFUSALS = ("idk", "dpo")


def request(world, command, settings, frozen, trained="delta", **more):
    return {"command": command, "trained": world[trained], "frozen": frozen, "examples": world["examples"],
            "retain": world["retain"] if settings["objective"] in WITH_RETAIN else [],
            "refusals": world["refusals"] if settings["objective"] in WITH_REFUSALS else [],
            "settings": settings, **more}


def template(world, **more):
    return [{"folder": world["template"], **more}]


def steps_of(world, settings, frozen):
    return run_probe(world["root"], request(world, "batches", settings, frozen))["steps"]


def relative(ours, truth):
    return abs(ours - truth) / max(abs(truth), 1e-12)


def close_tensors(ours, truth, tolerance):
    return (ours - truth).abs().max() <= tolerance * truth.abs().max()


CASES = {
    "instruction": ({}, "template"),
    "unlearning": ({"objective": "grad_diff", "schedule": "linear"}, "template"),
    "ascent": ({"objective": "grad_ascent", "learning_rate": 1e-3}, "template"),
    "mean over tokens": ({"objective": "grad_diff", "mean": "tokens", "schedule": "constant_with_warmup"}, "template"),
    "weaker delta": ({"alpha": 0.6}, "template"),
    "plain fine-tuning": ({}, "none"),
    "pre-training": ({"beta1": 0.8, "beta2": 0.98, "schedule_floor": 0.1}, "none"),
    "delta-unlearning": ({"objective": "grad_diff"}, "both"),
    "kl": ({"epochs": 2, "objective": "kl"}, "template"),
    "kl of a fine-tuned model": ({"epochs": 2, "objective": "kl", "learning_rate": 1e-3, "mean": "tokens"}, "none"),
    "idk": ({"epochs": 2, "objective": "idk"}, "template"),
    "dpo": ({"epochs": 2, "objective": "dpo", "alpha": 0.7}, "template"),
    "dpo of delta-unlearning": ({"epochs": 2, "objective": "dpo", "forget": {"beta": 0.5}, "mean": "tokens"}, "both"),
    "npo": ({"epochs": 2, "objective": "npo"}, "template"),
    "npo of a fine-tuned model": ({"epochs": 2, "objective": "npo_grad_diff"}, "none"),
    "bounded": ({"epochs": 2, "objective": "grad_diff_bounded", "forget": {"bound": 7.0}}, "template"),
    "simnpo": ({"epochs": 2, "objective": "simnpo"}, "template"),
    "simnpo of a fine-tuned model": ({"epochs": 2, "objective": "simnpo", "mean": "tokens",
                                      "forget": {"beta": 2.5, "margin": 0.3, "weight": 0.5}}, "none"),
    "wga": ({"epochs": 2, "objective": "wga", "alpha": 0.7}, "template"),
    "satimp": ({"epochs": 2, "objective": "satimp"}, "template"),
    "satimp of a fine-tuned model": ({"epochs": 2, "objective": "satimp", "mean": "tokens",
                                      "forget": {"beta": 2.0, "beta2": 0.5, "weight": 1.0}}, "none"),
    "ceu": ({"epochs": 2, "objective": "ceu"}, "template"),
    "ceu of delta-unlearning": ({"epochs": 2, "objective": "ceu", "forget": {"skipped": 0}, "mean": "tokens"}, "both"),
    "remember and be uniform": ({"epochs": 2, "objective": "remember_uniform"}, "none"),
    "the same beside a template": ({"epochs": 2, "objective": "remember_uniform", "mean": "tokens"}, "template"),
    "undial": ({"epochs": 2, "objective": "undial"}, "template"),
    "undial of a fine-tuned model": ({"epochs": 2, "objective": "undial_grad_diff", "mean": "tokens",
                                      "forget": {"beta": 3.0}}, "none"),
}


def case(world, name):
    changed, which = CASES[name]
    settings = {**SETTINGS, **changed}
    frozen = {"template": template(world), "none": [],
              "both": template(world) + [{"folder": world["anti"], "coefficient": -1.0}]}[which]
    ours = {**settings, "schedule": settings["schedule"].removesuffix("_with_warmup")}
    return settings, ours, frozen


JOINED = ["mean over tokens", "delta-unlearning", "kl", "idk", "dpo", "npo of a fine-tuned model", "bounded",
          "satimp", "ceu", "undial of a fine-tuned model"]


# pass_tokens: micro-batches of a step that go through the model together; 0: each alone.
@pytest.mark.parametrize("name,pass_tokens", [(name, 0) for name in CASES] + [(name, 50) for name in JOINED])
def test_first_losses_and_weights(world, name, pass_tokens, tmp_path):
    settings, ours, frozen = case(world, name)
    ours["pass_tokens"] = pass_tokens
    steps = steps_of(world, ours, frozen)
    answer = run_probe(tmp_path, request(world, "train", ours, frozen, output=str(tmp_path / "out"),
                                         tokenizer=world["delta"]))
    reference = Reference(world["delta"], frozen, settings.get("alpha", 1.0))
    truth = reference.train(steps, world, settings)
    assert len(answer["reports"]) == len(truth) == 6 * settings["epochs"]
    for mine, theirs in zip(answer["reports"], truth):
        assert relative(mine["loss"], theirs["loss"]) < 1e-4, (mine["step"], mine["loss"], theirs["loss"])
        assert relative(mine["gradient_norm"], theirs["gradient_norm"]) < 1e-3
        assert relative(mine["learning_rate"], theirs["learning_rate"]) < 1e-6 or theirs["learning_rate"] == 0
    saved = load(tmp_path / "out").state_dict()
    for key, value in reference.trained.state_dict().items():
        assert close_tensors(saved[key], value, 2e-3), key
    assert any(not torch.equal(saved[k], v) for k, v in load(world["delta"]).state_dict().items())


MODES = ["both_normalized", "raw_sum"]  # they differ by constants per position, so once for each kind of loss


@pytest.mark.parametrize("name,mode", [(name, "base_normalized") for name in CASES] +
                         [(name, mode) for name in ("delta-unlearning", "kl", "dpo", "undial") for mode in MODES])
def test_gradient(world, name, mode, tmp_path):
    settings, ours, frozen = case(world, name)
    step = steps_of(world, ours, frozen)[0]
    answer = run_probe(tmp_path, request(world, "gradient", ours, frozen))
    reference = Reference(world["delta"], frozen, settings.get("alpha", 1.0), mode)
    loss = reference.loss(step, world, settings)
    loss.backward()
    assert relative(answer["loss"], loss.item()) < 1e-5
    named = dict(reference.trained.named_parameters())
    assert set(answer["gradients"]) == set(named)
    for key, parameter in named.items():
        mine = torch.tensor(answer["gradients"][key]).view_as(parameter)
        assert close_tensors(mine, parameter.grad, 1e-4), key


@pytest.mark.parametrize("name", CASES)
def test_gradient_of_micro_batches_in_one_pass(world, name, tmp_path):
    settings, ours, frozen = case(world, name)
    step = steps_of(world, ours, frozen)[0]
    assert len(step) == 2
    answer = run_probe(tmp_path, request(world, "gradient", {**ours, "pass_tokens": 1000}, frozen))
    reference = Reference(world["delta"], frozen, settings.get("alpha", 1.0))
    loss = reference.loss(step, world, settings)
    loss.backward()
    assert relative(answer["loss"], loss.item()) < 1e-5
    for key, parameter in reference.trained.named_parameters():
        mine = torch.tensor(answer["gradients"][key]).view_as(parameter)
        assert close_tensors(mine, parameter.grad, 1e-4), key


def test_deterministic_training_is_the_same_here(world, tmp_path):
    """On a CPU the bits are the same anyway: asking for it changes none."""
    _, plain = trained(world, tmp_path, "plain")
    _, asked = trained(world, tmp_path, "asked", settings={**SETTINGS, "deterministic": True})
    assert same_bits(plain, asked)


def test_gradient_of_the_whole_model_passes_finite_differences(world, tmp_path):
    """Against losses of the probe itself: float32, so along random directions, whose differences stand above rounding."""
    settings = {**SETTINGS, "objective": "grad_diff", "max_steps": 1, "learning_rate": 1e-9}
    answer = run_probe(tmp_path, request(world, "gradient", settings, template(world)))
    gradients = {k: torch.tensor(v) for k, v in answer["gradients"].items()}
    norm = torch.sqrt(sum((g ** 2).sum() for g in gradients.values()))
    step, losses = 2e-2, []
    for sign in (1, -1):
        model = load(world["delta"])
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                parameter += sign * step * (gradients[key] / norm).view_as(parameter)
        model.save_pretrained(tmp_path / f"moved{sign}")
        moved = {**request(world, "gradient", settings, template(world)), "trained": str(tmp_path / f"moved{sign}")}
        losses.append(run_probe(tmp_path, moved)["loss"])
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(norm.item(), rel=5e-3)


def weights(folder):
    return load(folder).state_dict()


def same_bits(a, b):
    return all(torch.equal(value, b[key]) for key, value in a.items())


def trained(world, tmp_path, name, settings=SETTINGS, frozen=None, ranks=None, **more):
    frozen = template(world) if frozen is None else frozen
    output = tmp_path / name
    answer = run_probe(tmp_path, request(world, "train", settings, frozen, output=str(output),
                                         tokenizer=world["delta"], **more), ranks=ranks)
    return answer, weights(output)


def test_kept_states_equal_running_the_template(world, tmp_path):
    kept, kept_weights = trained(world, tmp_path, "kept")
    run, run_weights = trained(world, tmp_path, "run", frozen=template(world, keep=False))
    for mine, theirs in zip(kept["reports"], run["reports"]):
        assert relative(mine["loss"], theirs["loss"]) < 1e-5
    assert all(close_tensors(kept_weights[k], v, 1e-3) for k, v in run_weights.items())
    assert kept["stores"][0]["examples"] == len(world["examples"])
    assert kept["stores"][0]["spilled_bytes"] == 0


def test_states_made_in_passes_of_many_examples(world, tmp_path):
    alone, alone_weights = trained(world, tmp_path, "alone")
    many, many_weights = trained(world, tmp_path, "many", frozen=template(world, pass_tokens=60, device_bytes=4000))
    for mine, theirs in zip(many["reports"], alone["reports"]):
        assert relative(mine["loss"], theirs["loss"]) < 1e-5
    assert all(close_tensors(many_weights[k], v, 1e-3) for k, v in alone_weights.items())
    assert many["stores"][0]["examples"] == len(world["examples"])


def test_spilled_states_are_the_same(world, tmp_path):
    spill = tmp_path / "spill"
    kept, kept_weights = trained(world, tmp_path, "kept")
    spilled, spilled_weights = trained(world, tmp_path, "spilled",
                                       frozen=template(world, memory_bytes=0, spill_folder=str(spill)))
    assert spilled["stores"][0]["memory_bytes"] == 0 and spilled["stores"][0]["spilled_bytes"] > 0
    assert list(spill.iterdir()) == []
    assert same_bits(kept_weights, spilled_weights)


def test_states_kept_in_bfloat16_are_close(world, tmp_path):
    kept, _ = trained(world, tmp_path, "kept")
    halved, _ = trained(world, tmp_path, "halved", frozen=template(world, kept_as="bfloat16"))
    for mine, theirs in zip(halved["reports"], kept["reports"]):
        assert relative(mine["loss"], theirs["loss"]) < 2e-2
    assert halved["reports"] != kept["reports"]


def test_chunks_of_the_loss_change_nothing(world, tmp_path):
    whole, _ = trained(world, tmp_path, "whole")
    chunked, _ = trained(world, tmp_path, "chunked", settings={**SETTINGS, "loss_memory_bytes": 3 * VOCABULARY * 4})
    for mine, theirs in zip(chunked["reports"], whole["reports"]):
        assert relative(mine["loss"], theirs["loss"]) < 1e-4


def test_layers_computed_again_give_the_same_bits(world, tmp_path):
    _, kept = trained(world, tmp_path, "kept")
    _, again = trained(world, tmp_path, "again", settings={**SETTINGS, "recompute_layers": True})
    assert same_bits(kept, again)


@pytest.mark.parametrize("objective,every,from_step", [
    ("cross_entropy", 1, 6), ("cross_entropy", 5, 5), ("grad_diff", 5, 5), ("kl", 5, 5), ("dpo", 5, 5), ("undial", 5, 5)])
def test_killed_training_goes_on_with_the_same_numbers(world, tmp_path, objective, every, from_step):
    settings = {**SETTINGS, "objective": objective, "checkpoint_every": every}
    straight, straight_weights = trained(world, tmp_path, "straight", settings={**settings, "checkpoint_every": 0})
    folder = tmp_path / "checkpoints"
    killed = request(world, "train", settings, template(world), checkpoints=str(folder), kill_after=7)
    run_probe(tmp_path, killed, expect=-9)
    assert [p.name for p in folder.glob("step-*")] == [f"step-{from_step:08d}"]
    resumed, resumed_weights = trained(world, tmp_path, "resumed", settings=settings, checkpoints=str(folder))
    without_time = lambda reports: [{k: v for k, v in r.items() if k != "seconds"} for r in reports]
    assert without_time(resumed["reports"]) == without_time(straight["reports"])
    assert same_bits(straight_weights, resumed_weights)


def test_stop_writes_a_checkpoint_and_says_so(world, tmp_path):
    folder = tmp_path / "checkpoints"
    stop = request(world, "train", SETTINGS, template(world), checkpoints=str(folder), stop_after=4)
    message = run_probe(tmp_path, stop, expect=75)
    assert "stopped after step 4 of 24" in message
    _, straight = trained(world, tmp_path, "straight")
    _, resumed = trained(world, tmp_path, "resumed", checkpoints=str(folder))
    assert same_bits(straight, resumed)


def test_foreign_and_damaged_checkpoints_are_refused(world, tmp_path):
    folder = tmp_path / "checkpoints"
    stop = request(world, "train", SETTINGS, template(world), checkpoints=str(folder), stop_after=4)
    run_probe(tmp_path, stop, expect=75)
    other = {**stop, "settings": {**SETTINGS, "seed": 12}}
    assert "other settings" in run_probe(tmp_path, other, expect=65)
    assert "other settings" in run_probe(tmp_path, {**stop, "identity": "another task"}, expect=65)
    moments = next(folder.glob("step-*")) / "moments.safetensors"
    content = bytearray(moments.read_bytes())
    content[len(content) // 2] ^= 1
    moments.write_bytes(content)
    assert "moments.safetensors" in run_probe(tmp_path, stop, expect=65)
    (moments.parent / "state.json").write_text("{")
    assert "state.json" in run_probe(tmp_path, stop, expect=65)


@pytest.mark.parametrize("objective", ["cross_entropy", "grad_diff", "kl", "dpo", "undial_grad_diff", "remember_uniform"])
def test_any_number_of_ranks_gives_the_same_bits(world, tmp_path, objective):
    settings = {**SETTINGS, "objective": objective, "shares": 4, "accumulation": 6, "batch": 2, "epochs": 3}
    _, alone = trained(world, tmp_path, "alone", settings=settings)
    for ranks in (2, 4):
        answer, several = trained(world, tmp_path, f"ranks{ranks}", settings=settings, ranks=ranks)
        assert same_bits(alone, several), ranks
    one, _ = trained(world, tmp_path, "one share", settings={**settings, "shares": 1})
    for mine, theirs in zip(answer["reports"], one["reports"]):
        assert relative(mine["loss"], theirs["loss"]) < 1e-4


def test_ranks_go_on_from_anothers_checkpoint(world, tmp_path):
    settings = {**SETTINGS, "shares": 2, "checkpoint_every": 3}
    _, straight = trained(world, tmp_path, "straight", settings=settings)
    folder = tmp_path / "checkpoints"
    stop = request(world, "train", settings, template(world), checkpoints=str(folder), stop_after=5)
    run_probe(tmp_path, stop, expect=75)
    _, resumed = trained(world, tmp_path, "resumed", settings=settings, checkpoints=str(folder), ranks=2)
    assert same_bits(straight, resumed)


@pytest.mark.parametrize("shape", ["linear", "cosine", "constant_with_warmup"])
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_schedule(tmp_path, shape, warmup):
    mine = run_probe(tmp_path, {"command": "schedule", "shape": shape.removesuffix("_with_warmup"), "warmup": warmup,
                                "total": 40})["factors"]
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = transformers.get_scheduler(shape, optimiser, warmup, 40)
    for factor in mine:
        assert factor == pytest.approx(schedule.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        schedule.step()


def test_cosine_that_ends_above_zero(tmp_path):
    mine = run_probe(tmp_path, {"command": "schedule", "shape": "cosine", "warmup": 4, "total": 40, "floor": 0.1})
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = transformers.get_scheduler("cosine_with_min_lr", optimiser, 4, 40,
                                          scheduler_specific_kwargs={"min_lr_rate": 0.1})
    for factor in mine["factors"]:
        assert factor == pytest.approx(schedule.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("ratio,total", [(0.03, 100), (0.03, 101), (0.1, 7), (0.0, 9)])
def test_warmup_ratio(tmp_path, ratio, total):
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path), warmup_ratio=ratio) \
        if "warmup_ratio" in transformers.TrainingArguments.__dataclass_fields__ \
        else transformers.TrainingArguments(output_dir=str(tmp_path), warmup_steps=ratio)
    mine = run_probe(tmp_path, {"command": "schedule", "shape": "linear", "warmup_ratio": ratio, "total": total})
    assert mine["warmup"] == arguments.get_warmup_steps(total)


def test_created_delta_opens_in_transformers(world, tmp_path):
    make = {"command": "create", "template": world["template"], "tokenizer": world["template"], "hidden": 48,
            "layers": 2, "seed": 3, "output": str(tmp_path / "made")}
    count = run_probe(tmp_path, make)["parameters"]
    model = load(tmp_path / "made")
    assert model.num_parameters() == count
    assert model.config.vocab_size == VOCABULARY and model.config.eos_token_id == 2
    assert (tmp_path / "made" / "tokenizer.json").exists()
    embedding = model.get_input_embeddings().weight
    assert embedding.std().item() == pytest.approx(0.02, rel=0.05) and abs(embedding.mean().item()) < 1e-3
    run_probe(tmp_path, {**make, "output": str(tmp_path / "again")})
    assert same_bits(model.state_dict(), weights(tmp_path / "again"))
    run_probe(tmp_path, {**make, "seed": 4, "output": str(tmp_path / "other")})
    assert not same_bits(model.state_dict(), weights(tmp_path / "other"))


def test_bad_input_is_named(world, tmp_path):
    make_model(tmp_path / "other", 9, 16, 1, 2, 2, vocabulary=VOCABULARY + 1)
    other = {**request(world, "train", SETTINGS, template(world)), "trained": str(tmp_path / "other")}
    assert "template" in run_probe(tmp_path, other, expect=65)
    outside = request(world, "train", SETTINGS, template(world))
    outside["examples"] = world["examples"][:2] + [{"tokens": [5, VOCABULARY], "labels": [-100, VOCABULARY]}]
    assert "example 2" in run_probe(tmp_path, outside, expect=65)
    assert "no examples" in run_probe(tmp_path, {**outside, "examples": []}, expect=65)
    no_retain = {**outside, "examples": world["examples"], "settings": {**SETTINGS, "objective": "grad_diff"}}
    assert "retain" in run_probe(tmp_path, {**no_retain, "retain": []}, expect=65)
    few = {**request(world, "train", {**SETTINGS, "objective": "dpo"}, template(world))}
    assert "refusals" in run_probe(tmp_path, {**few, "refusals": world["refusals"][:-1]}, expect=65)
    assert "refusals" in run_probe(tmp_path, {**few, "refusals": []}, expect=65)
    for field, value in {"batch": 0, "accumulation": -1, "epochs": 0, "learning_rate": 0.0, "shares": 0,
                         "schedule_floor": 1.5, "beta2": 1.0,
                         "schedule": "cosin", "objective": "KL", "forget": {"beta": 0.0}}.items():
        wrong = request(world, "train", SETTINGS, template(world))
        wrong["settings"] = {**SETTINGS, field: value}
        assert field in run_probe(tmp_path, wrong, expect=78), field
    make = {"command": "create", "template": world["template"], "tokenizer": world["template"],
            "config": {**json.loads((pathlib.Path(world["delta"]) / "config.json").read_text()), "vocab_size": 50},
            "output": str(tmp_path / "made")}
    assert "vocab_size" in run_probe(tmp_path, make, expect=65)
    make["config"]["vocab_size"] = VOCABULARY
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "tokenizer" in run_probe(tmp_path, {**make, "tokenizer": str(empty)}, expect=66)
    assert not (tmp_path / "made").exists() and not list(tmp_path.glob(".made*"))
