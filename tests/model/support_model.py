"""A running probe_model, the real models, and tiny ones that transformers makes."""

import os
import pathlib

import outside
import torch
from line_probe import LineProbe
from safetensors.torch import load_file

from tiny_models import SMALL, TINY, tiny_config  # noqa: F401

SOURCE = pathlib.Path(os.environ["CMC_SOURCE"])
REAL = {"smollm2": "smollm2-135m-instruct", "gemma": "gemma-3-270m"}


def real_folder(name):
    folder = outside.model(REAL[name])
    return folder


class Probe(LineProbe):
    def __init__(self):
        super().__init__("probe_model")

    def logits(self, folder, calls, scratch, **options):
        """One tensor [tokens, vocabulary] a call."""
        out = pathlib.Path(scratch) / "logits.safetensors"
        self.value("run", model=str(folder), calls=calls, out=str(out), **options)
        tensors = load_file(out)
        return [tensors[str(i)].clone() for i in range(len(calls))]


def load_reference(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def reference_logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float()


def make_tiny(config, folder):
    """A random model of a configuration, or of the one of that name, in `folder`; biases, norms and whatever else begins at
    a neutral value does not stay there."""
    from transformers import AutoModelForCausalLM

    name = config if isinstance(config, str) else config.model_type
    torch.manual_seed(len(name) + sum(map(ord, name)))
    config = tiny_config(name) if isinstance(config, str) else config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if tensor.dim() == 1 or "norm" in key or "bias" in key:
                tensor.add_(torch.randn_like(tensor) * 0.2)
            elif "expert" in key or "gate" in key or "router" in key:
                tensor.copy_(torch.randn_like(tensor) * 0.3)
        for key, tensor in model.named_buffers():
            if "correction_bias" in key:
                tensor.copy_(torch.randn_like(tensor) * 0.3)
    model.save_pretrained(folder)
    return model


def random_tokens(count, seed, vocabulary=157):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (count,), generator=generator).tolist()


def worst(ours, theirs):
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert torch.isfinite(ours).all()
    return (ours - theirs).abs().max().item()


def relative(ours, theirs):
    return worst(ours, theirs) / theirs.abs().max().item()
