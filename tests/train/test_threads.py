"""The same bits on any number of threads: ranks that compute take the cores of those that wait, in the middle of a training."""
import hashlib
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from model.tiny_models import tiny_config
from reference import make_refusals, run_probe
from test_training import SETTINGS, WITH_REFUSALS, WITH_RETAIN

VOCABULARY = 4000  # so large, and so many tokens, that all products and rows are shared out
WIDE = {"hidden_size": 192, "intermediate_size": 320, "vocab_size": VOCABULARY, "max_position_embeddings": 512}
NAMES = {"gpt2": {"n_embd": 192, "vocab_size": VOCABULARY, "n_positions": 512}}


def long_examples(seed, count):
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(3, VOCABULARY, (100 + 31 * i % 90,), generator=generator).tolist() for i in range(count)]
    return [{"tokens": row, "labels": [-100] * 20 + row[20:]} for row in rows]


def make(folder, family, seed):
    torch.manual_seed(seed)
    config = tiny_config(family, **NAMES.get(family, WIDE))
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return str(folder)


def trained(root, threads, **request):
    out = root / f"out-{threads}"
    run_probe(root, {"command": "train", "output": str(out), "tokenizer": request["trained"], **request}, threads=threads)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(out).glob("*.safetensors")}


def expect_same_bits(root, **request):
    one = trained(root, 1, **request)
    assert one
    for threads in (2, 3):
        assert trained(root, threads, **request) == one, f"{threads} threads"


STEPS = SETTINGS | {"batch": 4, "accumulation": 1, "epochs": 1, "learning_rate": 1e-3}


SAME = ["gemma", "gemma3", "llama", "llama_every_head", "llama_odd_width", "llama_one_kv_head", "llama_tied", "mistral", "qwen2", "qwen3"]
OTHERS = ["gemma2", "gpt2", "llama_bias", "mixtral", "phi"]


@pytest.mark.parametrize("family", OTHERS)
def test_families_of_torch_operations_take_no_other_cores(tmp_path, family):
    assert not run_probe(tmp_path, {"command": "one_order", "folder": make(tmp_path / "model", family, 1)})


@pytest.mark.parametrize("family", SAME)
def test_fine_tuning(tmp_path, family):
    model = make(tmp_path / "model", family, 1)
    assert run_probe(tmp_path, {"command": "one_order", "folder": model})
    expect_same_bits(tmp_path, trained=model, frozen=[], examples=long_examples(2, 12), settings=STEPS)


@pytest.mark.parametrize("objective", ["cross_entropy", "grad_diff", "kl", "npo_grad_diff", "undial_grad_diff", "dpo"])
def test_a_delta_beside_its_template(tmp_path, objective):
    template, delta = make(tmp_path / "template", "llama", 1), make(tmp_path / "delta", "llama_tied", 2)
    examples = long_examples(3, 8)
    expect_same_bits(tmp_path, trained=delta, frozen=[{"folder": template, "keep": True}], examples=examples,
                     retain=long_examples(4, 5) if objective in WITH_RETAIN else [],
                     refusals=make_refusals(7, examples, 2, VOCABULARY) if objective in WITH_REFUSALS else [],
                     settings=STEPS | {"objective": objective, "epochs": 2})


def test_adapters(tmp_path):
    model = make(tmp_path / "model", "llama", 1)
    expect_same_bits(tmp_path, trained=model, frozen=[], examples=long_examples(2, 12), settings=STEPS,
                     adapters={"rank": 8, "alpha": 32, "dropout": 0.1, "targets": ["q_proj", "v_proj", "down_proj"], "seed": 3})
