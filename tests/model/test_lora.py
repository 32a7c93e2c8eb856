"""LoRA adapters against Python's peft: its folders opened here, ours opened there, gradients, merged weights."""
import json
import math

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from support_model import load_reference, make_tiny, random_tokens, reference_logits, worst

MODELS = ["llama", "llama_bias", "mistral", "gemma3"]
TARGETS = {"attention": ["q_proj", "v_proj"],
           "all": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
           "some": ["k_proj", "up_proj", "o_proj"]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            make_tiny(name, folder)
            made[name] = folder
        return made[name]

    return get


def published(base, folder, **settings):
    """A peft adapter on that base whose B is not zero, and its model."""
    torch.manual_seed(3)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=10, lora_dropout=0.0,
                             **{"target_modules": TARGETS["all"], **settings})
    model = peft.get_peft_model(load_reference(base), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    return model


def relative(ours, theirs):
    return worst(ours, theirs) / theirs.abs().max().item()


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_logits_of_a_published_adapter(tiny, probe, tmp_path, name, targets):
    base = tiny(name)
    model = published(base, tmp_path / "adapter", target_modules=TARGETS[targets])
    tokens = random_tokens(40, 1)
    theirs = reference_logits(model, tokens)
    assert relative(reference_logits(load_reference(base), tokens), theirs) > 1e-2  # the adapter does something
    calls = [{"spans": [[0, tokens]]}]
    for options in ({}, {"gradients": True}, {"merge": True}):
        ours, = probe.logits(base, calls, tmp_path, adapters=str(tmp_path / "adapter"), **options)
        assert relative(ours, theirs) < 1e-5, options


# Layers by their names in families of another kind: biases and partial rotation, matrices stored the other way round,
# joined heads, neighbours that turn together, experts, latent attention.
FAMILIES = {"phi": ["q_proj", "v_proj", "dense", "fc1", "fc2"], "gpt2": ["c_attn", "c_proj", "c_fc"],
            "gpt_neox": ["query_key_value", "dense", "dense_h_to_4h"], "falcon_groups": ["query_key_value", "dense"],
            "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], "glm4": ["q_proj", "k_proj", "gate_up_proj"],
            "qwen2_moe": ["q_proj", "o_proj", "shared_expert.gate_proj", "shared_expert.down_proj"],
            "gpt_oss": ["q_proj", "k_proj", "v_proj", "o_proj"],
            "deepseek_v3": ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"]}


@pytest.mark.parametrize("name", FAMILIES)
def test_adapters_of_other_families(tiny, probe, tmp_path, name):
    """Logits, gradients, and a folder that goes through the program and back to peft."""
    base, adapter, again = tiny(name), tmp_path / "adapter", tmp_path / "again"
    model = published(base, adapter, target_modules=FAMILIES[name], fan_in_fan_out=name == "gpt2")
    tokens = random_tokens(40, 1)
    theirs = reference_logits(model, tokens)
    assert relative(reference_logits(load_reference(base), tokens), theirs) > 1e-2
    for options in ({}, {"gradients": True}, {"merge": True}):
        ours, = probe.logits(base, [{"spans": [[0, tokens]]}], tmp_path, adapters=str(adapter), **options)
        assert relative(ours, theirs) < 1e-4, options
    again.mkdir()
    probe.value("save", model=str(base), adapters=str(adapter), folder=str(again))
    opened = peft.PeftModel.from_pretrained(load_reference(base), again).eval()
    assert relative(reference_logits(opened, tokens), theirs) < 1e-6
    out = tmp_path / "gradients.safetensors"
    probe.value("gradient", model=str(base), adapters=str(adapter), sequences=[tokens], out=str(out))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    adapters = {n: p.requires_grad_(True) for n, p in model.named_parameters() if "lora_" in n}
    torch.nn.functional.cross_entropy(model(torch.tensor([tokens[:-1]])).logits[0], torch.tensor(tokens[1:])).backward()
    ours = load_file(out)
    assert set(ours) == {n.replace(".default", "") for n in adapters}
    for key, parameter in adapters.items():
        assert relative(ours[key.replace(".default", "")], parameter.grad) < 1e-3, key


@pytest.mark.parametrize("form", [{}, {"_use_new_zipfile_serialization": False}])
def test_adapter_as_torch_saved_it(form, tiny, probe, tmp_path):
    """adapter_model.bin, as peft once wrote it: the same numbers as adapter_model.safetensors."""
    base, tokens = tiny("llama"), random_tokens(12, 1)
    published(base, tmp_path / "adapter")
    first, = probe.logits(base, [{"spans": [[0, tokens]]}], tmp_path, adapters=str(tmp_path / "adapter"))
    safe = tmp_path / "adapter" / "adapter_model.safetensors"
    torch.save(load_file(safe), tmp_path / "adapter" / "adapter_model.bin", **form)
    safe.unlink()
    second, = probe.logits(base, [{"spans": [[0, tokens]]}], tmp_path, adapters=str(tmp_path / "adapter"))
    assert torch.equal(first, second)


def test_decoding_with_adapters(tiny, probe, tmp_path):
    model = published(tiny("llama"), tmp_path / "adapter")
    tokens = random_tokens(30, 2)
    calls = [{"spans": [[1, tokens[:20]]]}] + [{"spans": [[1, [token]]]} for token in tokens[20:]]
    ours = torch.cat(probe.logits(tiny("llama"), calls, tmp_path, slots=2, capacity=64,
                                  adapters=str(tmp_path / "adapter")))
    assert relative(ours, reference_logits(model, tokens)) < 1e-5


@pytest.mark.parametrize("settings", [{"target_modules": r".*\.1\.(self_attn\.q_proj|mlp\.down_proj)"},
                                      {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [0, 2]}],
                         ids=["pattern", "layers"])
def test_adapters_of_some_layers(tiny, probe, tmp_path, settings):
    model = published(tiny("llama"), tmp_path / "adapter", **settings)
    tokens = random_tokens(25, 4)
    ours, = probe.logits(tiny("llama"), [{"spans": [[0, tokens]]}], tmp_path, adapters=str(tmp_path / "adapter"))
    assert relative(ours, reference_logits(model, tokens)) < 1e-5


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_gradient(tiny, probe, tmp_path, name, recompute):
    base = tiny(name)
    model = published(base, tmp_path / "adapter", target_modules=TARGETS["some"])
    sequences = [random_tokens(20, 5), random_tokens(7, 6)]
    out = tmp_path / "gradients.safetensors"
    loss = probe.value("gradient", model=str(base), adapters=str(tmp_path / "adapter"), sequences=sequences,
                       recompute=recompute, out=str(out))["loss"]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    adapters = {n: p.requires_grad_(True) for n, p in model.named_parameters() if "lora_" in n}
    rows = [model(torch.tensor([s[:-1]])).logits[0] for s in sequences]
    truth = torch.nn.functional.cross_entropy(torch.cat(rows), torch.tensor([t for s in sequences for t in s[1:]]))
    truth.backward()
    assert loss == pytest.approx(truth.item(), rel=1e-5)
    ours = load_file(out)
    assert set(ours) == {n.replace(".default", "") for n in adapters}
    for key, parameter in adapters.items():
        assert relative(ours[key.replace(".default", "")], parameter.grad) < 1e-4, key


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_ours_opens_in_peft(tiny, probe, tmp_path, name):
    """A new adapter saved by the program; then one of peft's, saved again."""
    base, new, folder = tiny(name), tmp_path / "new", tmp_path / "again"
    new.mkdir()
    settings = {"rank": 3, "alpha": 7.0, "dropout": 0.1, "targets": TARGETS["attention"], "seed": 5}
    probe.value("save", model=str(base), adapters=settings, folder=str(new))
    config = peft.PeftConfig.from_pretrained(new)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 7.0, 0.1)
    assert set(config.target_modules) == set(TARGETS["attention"])
    tokens = random_tokens(30, 8)
    opened = peft.PeftModel.from_pretrained(load_reference(base), new).eval()
    assert relative(reference_logits(opened, tokens), reference_logits(load_reference(base), tokens)) < 1e-6  # B is 0
    for key, value in load_file(new / "adapter_model.safetensors").items():
        bound = 1 / math.sqrt(value.shape[1])  # Kaiming uniform with slope sqrt(5), as peft begins
        if "lora_A" in key:
            assert value.abs().max() <= bound and value.abs().max() > 0.9 * bound and abs(value.mean()) < 0.15 * bound
        else:
            assert not value.any()
    model = published(base, tmp_path / "adapter")
    folder.mkdir()
    probe.value("save", model=str(base), adapters=str(tmp_path / "adapter"), folder=str(folder))
    again = peft.PeftModel.from_pretrained(load_reference(base), folder).eval()
    assert relative(reference_logits(again, tokens), reference_logits(model, tokens)) < 1e-6


@pytest.mark.parametrize("new", [False, True])
def test_merged_weights_equal_peft(tiny, probe, tmp_path, new):
    base, folder = tiny("gemma3"), tmp_path / "merged"
    folder.mkdir()
    model = published(base, tmp_path / "adapter")
    adapters = {"rank": 3, "alpha": 7.0, "dropout": 0.0, "targets": ["q_proj"], "seed": 5} if new \
        else str(tmp_path / "adapter")
    probe.value("save", model=str(base), adapters=adapters, merge=True, folder=str(folder))
    merged = load_reference(folder)
    truth = load_reference(base) if new else model.merge_and_unload()
    for key, value in truth.state_dict().items():
        assert worst(merged.state_dict()[key], value) < 1e-6, key


def test_rank_stabilised_adapter(tiny, probe, tmp_path):
    base = tiny("llama")
    model = published(base, tmp_path / "adapter", use_rslora=True)
    tokens = random_tokens(40, 1)
    ours, = probe.logits(base, [{"spans": [[0, tokens]]}], tmp_path, adapters=str(tmp_path / "adapter"))
    assert relative(ours, reference_logits(model, tokens)) < 5e-5


def test_what_is_no_plain_adapter_of_the_model_is_refused(tiny, probe, tmp_path):
    base = tiny("llama")
    published(base, tmp_path / "adapter")

    def changed(config=None, tensors=None):
        folder = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        read = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**read, **(config or {})}))
        held = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
        save_file(tensors(held) if tensors else held, folder / "adapter_model.safetensors")
        return probe.ask("save", model=str(base), adapters=str(folder), folder=str(tmp_path))

    def expect(answer, code, word):
        assert answer["code"] == code and word in answer["error"], answer

    for field, value in {"use_dora": True, "bias": "all", "modules_to_save": ["lm_head"], "rank_pattern": {"q_proj": 2},
                         "peft_type": "IA3", "init_lora_weights": "pissa", "alora_invocation_tokens": [1],
                         "megatron_config": {"a": 1}, "a_later_field": 3}.items():
        expect(changed({field: value}), 77, field)
    expect(changed({"r": 5}), 65, "lora_A")
    expect(changed({"r": 0}), 65, "r ")
    expect(changed({"r": "four"}), 65, "r ")
    first = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    expect(changed(tensors=lambda held: {**held, "base_model.model.lm_head.lora_A.weight": held[first].clone()}), 65,
           "lm_head")
    expect(changed(tensors=lambda held: {k: v for k, v in held.items() if k != first}), 65, first)
    expect(changed(tensors=lambda held: {"x": held[first]}), 65, "x")
    expect(probe.ask("save", model=str(base), adapters=str(tmp_path), folder=str(tmp_path)), 66, "adapter_config.json")
    (tmp_path / "adapter" / "adapter_model.safetensors").rename(tmp_path / "adapter" / "adapter_model.bin")
    expect(probe.ask("save", model=str(base), adapters=str(tmp_path / "adapter"), folder=str(tmp_path)), 65, "rename it")
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    expect(probe.ask("save", model=str(base), adapters=str(tmp_path / "adapter"), folder=str(tmp_path)), 77, "os.system")
    good = {"rank": 3, "alpha": 7.0, "dropout": 0.1, "targets": ["q_proj"], "seed": 5}
    for field, value in {"rank": 0, "alpha": -1.0, "dropout": 1.0, "targets": ["lm_head"]}.items():
        expect(probe.ask("save", model=str(base), adapters={**good, field: value}, folder=str(tmp_path)), 78, field)
