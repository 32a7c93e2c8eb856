"""Quantised checkpoints are refused by their method's name, with what to do: in config.json, or where only the tensors show it."""

import inspect

import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
         "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS = {  # words of the message
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, ("awq", "made from")),
    "gptq": ({"quant_method": "gptq", "bits": 4, "desc_act": False}, ("gptq", "made from")),
    "gptq of old": ({"bits": 4, "group_size": 128, "desc_act": True, "damp_percent": 0.01}, ("gptq",)),
    "awq of old": ({"w_bit": 4, "q_group_size": 128, "zero_point": True}, ("awq",)),
    "bnb 4": ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, ("bitsandbytes, 4 bits", "dequantize()")),
    "bnb 8": ({"quant_method": "bitsandbytes", "_load_in_8bit": True}, ("bitsandbytes, 8 bits", "dequantize()")),
    "bnb of old": ({"load_in_8bit": True}, ("bitsandbytes, 8 bits", "dequantize()")),
    "fp8": ({"quant_method": "fp8", "weight_block_size": [128, 128]}, ("fp8", "FineGrainedFP8Config(dequantize=True)")),
    "mxfp4": ({"quant_method": "mxfp4", "modules_to_not_convert": []}, ("mxfp4", "Mxfp4Config(dequantize=True)")),
    "compressed": ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, ("compressed-tensors", "CompressedTensorsConfig(dequantize=True)")),
    "no method": ({"bits": 4}, ("no known method", "made from")),
    "new method": ({"quant_method": "brand-new"}, ("brand-new", "made from")),
    "text": ("int4", ("no known method",)), "list": ([1], ("no known method",)), "method is a number": ({"quant_method": 4}, ("no known method",)),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config(case, probe):
    config, words = CONFIGS[case]
    probe.refused("parse", 65, "config.json: quantization_config", "quantised", *words, config={**LLAMA, "quantization_config": config})


def test_compression_config(probe):
    probe.refused("parse", 65, "compression_config", "compressed-tensors",
                  config={**LLAMA, "compression_config": {"quant_method": "compressed-tensors"}})


@pytest.mark.parametrize("method", AUTO_QUANTIZATION_CONFIG_MAPPING)
def test_every_method_of_transformers_is_named(method, probe):
    probe.refused("parse", 65, method, config={**LLAMA, "quantization_config": {"quant_method": method}})


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_config_that_says_nothing(nothing, probe):
    assert probe.value("parse", config={**LLAMA, "quantization_config": nothing})["layers"] == 2


@pytest.mark.parametrize("name", ["CompressedTensorsConfig", "FineGrainedFP8Config", "Mxfp4Config"])
def test_remedies_are_what_transformers_takes(name):
    assert "dequantize" in inspect.signature(getattr(transformers, name).__init__).parameters


LAYER = "model.layers.0.mlp.down_proj"
STORED = {  # tensors without a word in config.json
    "gptq": ({f"{LAYER}.qweight": torch.zeros(2, 2, dtype=torch.int32), f"{LAYER}.scales": torch.ones(2)}, "gptq or awq"),
    "bitsandbytes 4": ({f"{LAYER}.weight": torch.zeros(8, 1, dtype=torch.uint8), f"{LAYER}.weight.absmax": torch.ones(2)}, "quantised"),
    "bitsandbytes 8": ({f"{LAYER}.SCB": torch.ones(2), f"{LAYER}.weight": torch.zeros(2, 2, dtype=torch.int8)}, "bitsandbytes, 8 bits"),
    "fp8": ({f"{LAYER}.weight": torch.zeros(2, 2).to(torch.float8_e4m3fn), f"{LAYER}.weight_scale_inv": torch.ones(1)}, "F8_E4M3"),
    "mxfp4": ({f"{LAYER}_blocks": torch.zeros(2, 2, dtype=torch.uint8), f"{LAYER}_scales": torch.zeros(2, dtype=torch.uint8)}, "mxfp4"),
    "packed": ({f"{LAYER}.weight_packed": torch.zeros(2, 2, dtype=torch.int32)}, "compressed-tensors"),
    "whole numbers": ({f"{LAYER}.weight": torch.zeros(2, 2, dtype=torch.int8)}, "whole numbers (I8)"),
}


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("case", STORED)
def test_stored(case, kind, probe, tmp_path):
    tensors, word = STORED[case]
    word = "quantised" if kind == "pytorch_model.bin" and case == "fp8" else word
    save_file(tensors, tmp_path / kind) if kind == "model.safetensors" else torch.save(tensors, tmp_path / kind)
    probe.refused("tensors", 65, kind, word, "made from" if "F8" not in word and case != "fp8" else "bfloat16",
                  folder=str(tmp_path), out=str(tmp_path / "o"))


@pytest.mark.parametrize("name", ["transformer.h.0.attn.bias", "model.embed_positions.position_ids", "transformer.h.0.attn.masked_bias"])
def test_whole_numbers_that_are_no_weights(name, probe, tmp_path):
    """Masks and positions that old checkpoints keep."""
    save_file({name: torch.ones(2, 2, dtype=torch.uint8), "x.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    assert name in probe.value("tensors", folder=str(tmp_path), out=str(tmp_path / "o"))["names"]
