"""jobs/import_gguf.py: a GGUF file becomes a folder with the same weights, tokenizer, special tokens and chat template."""

import json
import os
import pathlib
import subprocess
import sys

import gguf
import numpy
import pytest
import torch
from safetensors.torch import load_file

SCRIPT = pathlib.Path(os.environ["CMC_SOURCE"]) / "jobs" / "import_gguf.py"
HIDDEN, LAYERS, HEADS, KV_HEADS, WIDE = 32, 2, 4, 2, 64
TEMPLATE = "{% for message in messages %}{{ message['content'] }}<|im_end|>{% endfor %}"


def byte_alphabet():
    """GPT-2's printable names of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) if byte in plain else chr(256 + sum(other not in plain for other in range(byte))) for byte in range(256)]


def write_gguf(path):
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_alphabet(), "th", "the"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(50000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    generator = numpy.random.default_rng(0)

    def tensor(name, *shape):
        values = torch.tensor(generator.standard_normal(shape), dtype=torch.float32).bfloat16().float()
        writer.add_tensor(name, values.numpy())
        return values

    made = {"model.embed_tokens.weight": tensor("token_embd.weight", len(tokens), HIDDEN),
            "model.norm.weight": tensor("output_norm.weight", HIDDEN)}
    for layer in range(LAYERS):
        ours, theirs = f"model.layers.{layer}.", f"blk.{layer}."
        made[ours + "mlp.down_proj.weight"] = tensor(theirs + "ffn_down.weight", HIDDEN, WIDE)
        made[ours + "mlp.up_proj.weight"] = tensor(theirs + "ffn_up.weight", WIDE, HIDDEN)
        made[ours + "mlp.gate_proj.weight"] = tensor(theirs + "ffn_gate.weight", WIDE, HIDDEN)
        made[ours + "input_layernorm.weight"] = tensor(theirs + "attn_norm.weight", HIDDEN)
        made[ours + "post_attention_layernorm.weight"] = tensor(theirs + "ffn_norm.weight", HIDDEN)
        made[ours + "self_attn.v_proj.weight"] = tensor(theirs + "attn_v.weight", HIDDEN // 2, HIDDEN)
        made[ours + "self_attn.o_proj.weight"] = tensor(theirs + "attn_output.weight", HIDDEN, HIDDEN)
        tensor(theirs + "attn_q.weight", HIDDEN, HIDDEN)  # stored in another order of rows, which transformers undoes
        tensor(theirs + "attn_k.weight", HIDDEN // 2, HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return made


def convert(folder, *parts):
    return subprocess.run([sys.executable, SCRIPT, folder, *parts], capture_output=True, text=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return path, write_gguf(path)


@pytest.mark.parametrize("pieces", [1, 3])
def test_folder(pieces, tiny, tmp_path):
    path, made = tiny
    data, parts = path.read_bytes(), []
    for piece in range(pieces):
        part = tmp_path / f"tiny.part{piece}"
        part.write_bytes(data[piece * len(data) // pieces:(piece + 1) * len(data) // pieces])
        parts.append(part)
    folder = tmp_path / "tiny"
    result = convert(folder, *parts)
    assert result.returncode == 0, result.stderr
    weights = load_file(folder / "model.safetensors")
    assert all(tensor.dtype == torch.bfloat16 for tensor in weights.values()) and "lm_head.weight" not in weights
    for name, values in made.items():
        assert torch.equal(weights[name].float(), values), name
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and "quantization_config" not in config
    assert (config["hidden_size"], config["num_key_value_heads"], config["eos_token_id"]) == (HIDDEN, KV_HEADS, 2)
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2
    assert (folder / "chat_template.jinja").read_text() == TEMPLATE
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer("the<|im_end|>").input_ids) == ["the", "<|im_end|>"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["tiny"] + [part.name for part in parts])
    assert convert(folder, *parts).returncode == 73  # nothing is overwritten


def test_what_is_no_gguf(tiny, tmp_path):
    path, _ = tiny
    for name, data in (("zeros", b"\0" * 1000), ("half", path.read_bytes()[:path.stat().st_size // 2]), ("stub", b"GGUF")):
        (tmp_path / name).write_bytes(data)
        result = convert(tmp_path / "out", tmp_path / name)
        assert result.returncode == 65 and name in result.stderr, result.stderr
    assert convert(tmp_path / "out", tmp_path / "none").returncode == 66
    assert sorted(file.name for file in tmp_path.iterdir()) == ["half", "stub", "zeros"]
