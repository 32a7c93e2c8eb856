"""A running probe_model, the real models, and tiny ones that transformers makes."""

import json
import os
import pathlib
import subprocess

import torch
from safetensors.torch import load_file

SOURCE = pathlib.Path(os.environ["CMC_SOURCE"])
MODELS = pathlib.Path(os.environ.get("CMC_MODELS", SOURCE / "models"))
REAL = {"smollm2": "smollm2-135m-instruct", "gemma": "gemma-3-270m"}


def real_folder(name):
    folder = MODELS / REAL[name]
    assert folder.is_dir(), f"{folder} is missing: make it with jobs/import_gguf.py, or set CMC_MODELS"
    return folder


class Probe:
    def __init__(self):
        program = pathlib.Path(os.environ["CMC_BIN"]) / "probe_model"
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op, **request):
        self.process.stdin.write((json.dumps({"op": op, **request}) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"probe_model died of {op}"
        return json.loads(line)

    def value(self, op, **request):
        answer = self.ask(op, **request)
        assert "error" not in answer, answer
        return answer

    def logits(self, folder, calls, scratch, **options):
        """One tensor [tokens, vocabulary] a call."""
        out = pathlib.Path(scratch) / "logits.safetensors"
        self.value("run", model=str(folder), calls=calls, out=str(out), **options)
        tensors = load_file(out)
        return [tensors[str(i)].clone() for i in range(len(calls))]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def load_reference(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def reference_logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float()


SMALL = dict(vocab_size=160, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, head_dim=16, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
             initializer_range=0.3)


def tiny_configs():
    """Name → transformers configuration: every part an architecture can be made of."""
    from transformers import Gemma3TextConfig, LlamaConfig, MistralConfig

    def llama(**changes):
        return LlamaConfig(**{**SMALL, **changes})

    scalings = {
        "linear": {"rope_type": "linear", "factor": 4.0},
        "dynamic": {"rope_type": "dynamic", "factor": 2.0},
        "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 16},
        "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    }
    configs = {"llama": llama(), "llama_tied": llama(tie_word_embeddings=True),
               "llama_bias": llama(attention_bias=True, mlp_bias=True, hidden_act="gelu"),
               "llama_one_kv_head": llama(num_key_value_heads=1), "llama_every_head": llama(num_key_value_heads=6),
               "llama_odd_width": llama(head_dim=10, vocab_size=157, intermediate_size=75)}
    for name, scaling in scalings.items():
        configs["rope_" + name] = llama(rope_parameters={"rope_theta": 10000.0, **scaling})
    configs["mistral"] = MistralConfig(**SMALL, sliding_window=9)
    configs["mistral_no_window"] = MistralConfig(**SMALL, sliding_window=None)
    gemma = {**SMALL, "num_hidden_layers": 4, "sliding_window": 7, "query_pre_attn_scalar": 24, "pad_token_id": 0,
             "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]}
    configs["gemma3"] = Gemma3TextConfig(**gemma)
    configs["gemma3_capped"] = Gemma3TextConfig(**gemma, final_logit_softcapping=3.0)
    return configs


def make_tiny(config, folder):
    """A random model of a configuration, or of the one of that name, in `folder`; biases and norms are not left at their
    neutral values."""
    from transformers import AutoModelForCausalLM

    name = config if isinstance(config, str) else config.model_type
    torch.manual_seed(len(name) + sum(map(ord, name)))
    config = tiny_configs()[name] if isinstance(config, str) else config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if tensor.dim() == 1:
                tensor.add_(torch.randn_like(tensor) * 0.2)
    model.save_pretrained(folder)
    return model


TINY = ["llama", "llama_tied", "llama_bias", "llama_one_kv_head", "llama_every_head", "llama_odd_width", "rope_linear",
        "rope_dynamic", "rope_llama3", "rope_yarn", "mistral", "mistral_no_window", "gemma3", "gemma3_capped"]


def random_tokens(count, seed, vocabulary=157):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (count,), generator=generator).tolist()


def worst(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert torch.isfinite(ours).all()
    return (ours - theirs).abs().max().item()
