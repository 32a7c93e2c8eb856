#!/usr/bin/env python3
"""A rank that holds a part of a model takes its share of the memory and little more: while it loads, while it trains LoRA adapters,
and beside a delta that is trained. As a program, for a Llama of 1.2 billion parameters (2.5 GB of disk, up to 5 GB of memory):

    tests/train/test_rank_memory.py
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
import standalone  # noqa: E402

if __name__ == "__main__":
    standalone.need_packages("torch", "safetensors", "transformers", "peft")
standalone.need_programs("probe_train")

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from reference import make_examples, make_model, run_probe  # noqa: E402

SMALL = dict(hidden=768, intermediate=2048, layers=8, heads=12, kv_heads=4, vocabulary=8192)
LLAMA_1B = dict(hidden=2048, intermediate=8192, layers=16, heads=32, kv_heads=8, vocabulary=128256)
FEW_TOKENS = 16 << 20  # bytes: what a pass over a few dozen tokens keeps, with the logits that it holds at once


def write_llama(folder, hidden, intermediate, layers, heads, kv_heads, vocabulary):
    """Random weights in bfloat16; returns how many, and how many of them are in the layers' matrices."""
    folder.mkdir(parents=True)
    keys = hidden // heads * kv_heads
    shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        parts = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
                 "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (intermediate, hidden), "mlp.up_proj": (intermediate, hidden),
                 "mlp.down_proj": (hidden, intermediate), "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,)}
        shapes.update({f"model.layers.{layer}.{name}.weight": shape for name, shape in parts.items()})
    torch.manual_seed(1)
    save_file({name: torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02) for name, shape in shapes.items()},
              folder / "model.safetensors")
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": intermediate,
              "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocabulary,
              "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes.items()}
    return sum(sizes.values()), sum(size for name, size in sizes.items() if "_proj" in name)


def peaks(root, ranks, blocks, kind):
    """Bytes at most, by rank, of one step."""
    examples = make_examples(5, 4, 8000)
    settings = {"batch": 2, "accumulation": 2, "epochs": 1, "max_steps": 1, "learning_rate": 1e-4, "seed": 1, "loss_memory_bytes": 1 << 20,
                "recompute_layers": True}
    asked = {"command": "train", "examples": examples, "retain": [], "refusals": [], "settings": settings, "tensor_parallel": True,
             "blocks": blocks, "tells_memory": True}
    large = str(root / "large")
    if kind == "adapters":
        asked.update(trained=large, split=True, adapters={"rank": 8, "alpha": 16.0, "targets": ["q_proj", "v_proj"], "seed": 1})
    else:
        asked.update(trained=str(root / "delta"), frozen=[{"folder": large, "split": True}])
    return run_probe(root, asked, ranks=ranks)["peak_bytes"]


def measured(root, shape):
    """For each way to hold it and each kind of training: (ranks, blocks, kind, share in bytes, largest peak of a rank in bytes)."""
    parameters, matrices = write_llama(root / "large", **shape)
    # Without gradients a CPU's kernels keep the layers' matrices packed besides, as `cmc plan` counts them.
    held = {"adapters": 4 * parameters, "template": 4 * (parameters + matrices)}
    make_model(root / "delta", 2, 16, 1, 2, 1, vocabulary=shape["vocabulary"])
    for ranks, blocks in [(2, 1), (4, 1), (4, 2)]:
        for kind in ["adapters", "template"]:
            yield ranks, blocks, kind, held[kind] / ranks, max(peaks(root, ranks, blocks, kind))


def test_a_share_and_a_tenth(tmp_path):
    for ranks, blocks, kind, share, peak in measured(tmp_path, SMALL):
        print(ranks, blocks, kind, share, peak)
        assert peak < 1.1 * share + FEW_TOKENS, (ranks, blocks, kind)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("ranks  blocks  training          share      peak of a rank")
    fits = True
    with tempfile.TemporaryDirectory() as folder:
        for ranks, blocks, kind, share, peak in measured(Path(folder), LLAMA_1B):
            fits = fits and peak < 1.1 * share
            print(f"{ranks:5}  {blocks:6}  {kind:10}  {share / 1e9:8.3f} GB  {peak / 1e9:8.3f} GB  {100 * peak / share - 100:+5.1f} %", flush=True)
    sys.exit(0 if fits else 1)
