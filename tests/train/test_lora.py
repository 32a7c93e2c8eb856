"""Training of LoRA adapters against PyTorch with Python's peft, and what makes it go on with the same numbers."""
import peft
import pytest
import torch
from safetensors.torch import load_file

from reference import Reference, load, make_examples, make_model, make_refusals, run_probe

SETTINGS = {"objective": "cross_entropy", "batch": 3, "accumulation": 2, "epochs": 2, "learning_rate": 5e-3,
            "schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.05, "max_gradient_norm": 1.0, "seed": 11}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("lora")
    examples = make_examples(5, 31)
    torch.manual_seed(9)
    base = make_model(root / "base", 2, 16, 2, 2, 1)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, lora_dropout=0.0, target_modules=ALL)
    peft.get_peft_model(load(base), config).save_pretrained(root / "adapters")
    return {"root": root, "base": base, "adapters": str(root / "adapters"),
            "template": make_model(root / "template", 1, 32, 2, 4, 2), "examples": examples,
            "retain": make_examples(6, 17), "refusals": make_refusals(7, examples, 2)}


def request(world, settings, frozen=(), command="train", **more):
    return {"command": command, "trained": world["base"], "adapters": world["adapters"], "frozen": list(frozen),
            "examples": world["examples"], "retain": world["retain"], "refusals": world["refusals"],
            "settings": settings, **more}


@pytest.mark.parametrize("objective,frozen", [("cross_entropy", False), ("grad_diff", True), ("kl", False),
                                              ("dpo", True), ("npo_grad_diff", False)])
def test_losses_and_adapters(world, tmp_path, objective, frozen):
    settings = {**SETTINGS, "objective": objective}
    template = [{"folder": world["template"]}] if frozen else []
    steps = run_probe(tmp_path, request(world, settings, template, command="batches"))["steps"]
    answer = run_probe(tmp_path, request(world, settings, template, output=str(tmp_path / "out"),
                                         tokenizer=world["base"]))
    reference = Reference(world["base"], template, adapters=world["adapters"])
    truth = reference.train(steps, world, settings)
    assert len(answer["reports"]) == len(truth) == 12
    for mine, theirs in zip(answer["reports"], truth):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4), mine["step"]
        assert mine["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-3), mine["step"]
    saved = load_file(tmp_path / "out" / "adapter_model.safetensors")
    begun = load_file(world["root"] / "adapters" / "adapter_model.safetensors")
    trained = {n.replace(".default", ""): p for n, p in reference.trained.named_parameters() if p.requires_grad}
    assert set(saved) == set(trained) == set(begun)
    for key, value in trained.items():
        assert (saved[key] - value).abs().max() <= 2e-3 * value.abs().max(), key
        assert not torch.equal(saved[key], begun[key]), key
    peft.PeftModel.from_pretrained(load(world["base"]), tmp_path / "out")  # published as a peft folder


def adapters_after(world, tmp_path, name, settings, ranks=None, **more):
    run_probe(tmp_path, request(world, settings, output=str(tmp_path / name), tokenizer=world["base"], **more),
              ranks=ranks)
    return (tmp_path / name / "adapter_model.safetensors").read_bytes()


def test_dropout_is_the_same_after_a_stop_and_on_any_number_of_ranks(world, tmp_path):
    new = {"rank": 4, "alpha": 8.0, "dropout": 0.2, "targets": ALL, "seed": 3}
    settings = {**SETTINGS, "shares": 2}
    straight = adapters_after(world, tmp_path, "straight", settings, adapters=new)
    assert straight == adapters_after(world, tmp_path, "ranks", settings, adapters=new, ranks=2)
    assert straight == adapters_after(world, tmp_path, "recomputed", {**settings, "recompute_layers": True},
                                      adapters=new)
    folder = tmp_path / "checkpoints"
    stop = request(world, settings, adapters=new, checkpoints=str(folder), stop_after=5)
    assert "stopped after step 5 of 12" in run_probe(tmp_path, stop, expect=75)
    checkpoint = next(folder.glob("step-*"))
    parameters = sum(t.numel() for t in load_file(checkpoint / "model" / "adapter_model.safetensors").values())
    assert not (checkpoint / "model" / "model.safetensors").exists()
    moments = load_file(checkpoint / "moments.safetensors")
    assert sum(t.numel() for t in moments.values()) == 2 * parameters, "the base has no optimiser state"
    other = {**stop, "adapters": {**new, "alpha": 9.0}}
    assert "other settings" in run_probe(tmp_path, other, expect=65)
    assert straight == adapters_after(world, tmp_path, "resumed", settings, adapters=new, checkpoints=str(folder))
    without = adapters_after(world, tmp_path, "without", settings, adapters={**new, "dropout": 0.0})
    other_seed = adapters_after(world, tmp_path, "seed", {**settings, "seed": 12}, adapters=new)
    assert len({straight, without, other_seed}) == 3


def test_new_adapters_begin_as_the_base(world, tmp_path):
    new = {"rank": 4, "alpha": 8.0, "targets": ["q_proj"], "seed": 3}
    answer = run_probe(tmp_path, request(world, SETTINGS, command="gradient", adapters=new))
    step = run_probe(tmp_path, request(world, SETTINGS, command="batches"))["steps"][0]
    assert answer["loss"] == pytest.approx(Reference(world["base"]).loss(step, world, SETTINGS).item(), rel=1e-5)
    for name, gradient in answer["gradients"].items():
        assert ("lora_B" in name) == any(gradient), "while B is zero, no gradient reaches A"
