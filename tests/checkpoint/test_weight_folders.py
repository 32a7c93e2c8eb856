"""Folders whose weights are not simply there: read as transformers reads them, or named for what they hold, with a remedy."""

import json
import os
import pathlib
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

CASES = pathlib.Path(__file__).parent / "cases"


def ask(probe, folder):
    return {"folder": str(folder), "out": str(folder / "o")}


def write(folder, name, tensors):
    """A file of weights of the kind that its name says."""
    save_file(tensors, folder / name) if name.endswith(".safetensors") else torch.save(tensors, folder / name)


def write_index(folder, kind, weight_map):
    (folder / f"{kind}.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))


KINDS = {"model.safetensors": "model-{}.safetensors", "pytorch_model.bin": "pytorch_model-{}.bin"}


@pytest.mark.parametrize("kind", KINDS)
def test_index_that_disagrees_with_its_shards(kind, probe, tmp_path):
    """Shards are read whole: what the index leaves out is there, what it puts into the wrong shard is found, of a tensor in
    both the later shard's is read. What no shard holds is an error."""
    one, two = (KINDS[kind].format(i) for i in (1, 2))
    write(tmp_path, one, {"x": torch.ones(2), "left.out": torch.full((3,), 7.0), "both": torch.ones(4), "same": torch.ones(4)})
    write(tmp_path, two, {"y": torch.zeros(2), "both": torch.zeros(4), "same": torch.ones(4)})
    write_index(tmp_path, kind, {"x": two, "y": two, "both": one, "same": one})
    probe.value("tensors", **ask(probe, tmp_path))
    found = load_file(tmp_path / "o")
    merged = {}
    for name in (one, two):
        merged.update(load_file(tmp_path / name) if kind == "model.safetensors" else torch.load(tmp_path / name))
    assert set(found) == set(merged) and all(torch.equal(found[name], tensor) for name, tensor in merged.items())
    write_index(tmp_path, kind, {"x": one, "y": two, "nowhere": one})
    probe.refused("tensors", 65, one, "no tensor nowhere", **ask(probe, tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_transformers_where_the_index_disagrees(kind, probe, tmp_path):
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                         num_key_value_heads=1, architectures=["LlamaForCausalLM"])
    state = {name: tensor.contiguous() for name, tensor in LlamaForCausalLM(config).state_dict().items()}
    config.save_pretrained(tmp_path)
    names = sorted(state)
    one, two = (KINDS[kind].format(i) for i in (1, 2))
    write(tmp_path, one, {name: state[name] for name in names[:7]})
    write(tmp_path, two, {**{name: state[name] for name in names[7:]}, names[0]: state[names[0]] + 1})
    write_index(tmp_path, kind, {name: one if i < 7 else two for i, name in enumerate(names) if i not in (3, 8)})
    probe.value("tensors", **ask(probe, tmp_path))
    found, live = load_file(tmp_path / "o"), AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    assert set(found) == set(live) and all(torch.equal(found[name], live[name]) for name in live)


@pytest.mark.parametrize("kind", KINDS)
def test_links_of_a_cache(kind, probe, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    write(blobs, kind, {"x": torch.ones(2)})
    (blobs / kind).rename(blobs / "ab12")
    (snapshot / kind).symlink_to("../../blobs/ab12")
    assert probe.value("tensors", **ask(probe, snapshot))["names"] == ["x"]
    probe.refused("tensors", 66, "holds no weights itself", "snapshots/0123", **ask(probe, tmp_path))
    (blobs / "ab12").unlink()
    probe.refused("tensors", 66, kind, "link to a file that does not exist", **ask(probe, snapshot))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 2336927\n"
PAGES = {"an LFS pointer": (POINTER, ("Git LFS pointer", "2336927 bytes", "git lfs pull")),
         "an HTML page": (b"\n<!DOCTYPE html>\n<html><head><title>404</title>", ("web page", "fetch it again")),
         "an answer in XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", ("web page",)),
         "an answer of the hub": (b"Access to model a/b is restricted. You must be authenticated.", ("server's answer", "logged in", "restricted")),
         "an answer in JSON": (b'{"error":"Repository not found"}', ("server's answer",)),
         "nothing": (b"", ("is empty", "fetch")), "zeros": (bytes(5000), ("did not finish",)),
         "a GGUF file": (b"GGUF\x03\0\0\0" + bytes(100), ("GGUF", "import_gguf.py")),
         "a compressed file": (b"\x1f\x8b\x08\0" + bytes(100), ("gzip", "unpack")),
         "an HDF5 file": (b"\x89HDF\r\n\x1a\n" + bytes(100), ("HDF5", "safetensors"))}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model-1.safetensors", "pytorch_model-1.bin",
                                  "model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_a_file_that_something_else_was_saved_as(name, page, probe, tmp_path):
    content, words = PAGES[page]
    if name.endswith("json") and b"error" in content:
        words = ("weight_map",)  # it is JSON, and no index
    (tmp_path / name).write_bytes(content)
    if "-1." in name:
        write_index(tmp_path, "model.safetensors" if "model-1.s" in name else "pytorch_model.bin", {"x": name})
    probe.refused("tensors", 65, name, *words, **ask(probe, tmp_path))


def test_config_that_is_a_pointer(probe, tmp_path):
    (tmp_path / "config.json").write_bytes(POINTER)
    probe.refused("config", 65, "config.json", "Git LFS pointer", "git lfs pull", folder=str(tmp_path))


def test_case_weights_lfs_pointer(probe, tmp_path):
    folder = shutil.copytree(CASES / "weights_lfs_pointer", tmp_path / "model")
    probe.refused("tensors", 65, "model.safetensors", "is a Git LFS pointer", "12345 bytes", "git lfs pull", **ask(probe, folder))


OTHERS = {  # files in the folder, words of the message
    "consolidated.safetensors": (["consolidated.safetensors", "params.json"], ("consolidated.safetensors", "authors' own format", "convert")),
    "consolidated.pth": (["consolidated.00.pth", "consolidated.01.pth"], ("consolidated.00.pth", "convert")),
    "fp16": (["model.fp16.safetensors"], ("model.fp16.safetensors", "variant", "rename")),
    "bf16 pickle": (["pytorch_model.bf16.bin"], ("pytorch_model.bf16.bin", "variant")),
    "fp16 shards": (["model.fp16-00001-of-00002.safetensors", "model.safetensors.index.fp16.json"], ("fp16", "variant")),
    "gguf": (["README.md", "llama-2-7b.Q4_K_M.gguf"], ("Q4_K_M.gguf", "import_gguf.py")),
    "tensorflow": (["tf_model.h5"], ("tf_model.h5", "TensorFlow", "save_pretrained")),
    "flax": (["flax_model.msgpack"], ("flax_model.msgpack", "Flax")),
    "onnx": (["model.onnx", "model.onnx_data"], ("model.onnx", "ONNX")),
    "incomplete": (["model.safetensors.incomplete"], ("incomplete", "did not finish", "fetch it again")),
    "shards without index": (["model-00001-of-00002.safetensors"], ("without the index", "model.safetensors.index.json")),
    "adapter": (["adapter_config.json", "adapter_model.safetensors"], ("is an adapter", "base model")),
    "other name": (["weights.safetensors"], ("weights.safetensors", "rename")),
    "training's files alone": (["training_args.bin", "optimizer.pt"], ("model.safetensors", "does not exist")),
    "odd name": (["we\udcffird.gguf"], ("GGUF",)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_folder_with_other_weights_alone(case, probe, tmp_path):
    names, words = OTHERS[case]
    (tmp_path / "config.json").write_text("{}")
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    probe.refused("tensors", 66, *words, **ask(probe, tmp_path))
    probe.refused("identity", 66, *words, folder=str(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_folder_above_the_model(kind, probe, tmp_path):
    (tmp_path / "checkpoint-100").mkdir()
    write(tmp_path / "checkpoint-100", kind, {"x": torch.ones(2)})
    probe.refused("tensors", 66, "holds no weights itself", "checkpoint-100", **ask(probe, tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off(kind, probe, tmp_path):
    write(tmp_path, kind, {f"layer.{i}": torch.randn(64) for i in range(8)})
    whole = (tmp_path / kind).read_bytes()
    for part in (0.05, 0.5, 0.9, 1):
        (tmp_path / kind).write_bytes(whole[:int(part * len(whole)) - 1])
        probe.refused("tensors", 65, kind, "truncated", "fetch", **ask(probe, tmp_path))


def test_unreadable_folder_and_file(probe, tmp_path):
    (tmp_path / "model.safetensors").mkdir()
    probe.refused("tensors", 66, "model.safetensors", "no file that can be read", **ask(probe, tmp_path))
    if os.geteuid() == 0:
        return  # who may read everything
    (tmp_path / "model.safetensors").rmdir()
    tmp_path.chmod(0o300)
    probe.refused("tensors", 74, "cannot be read", **ask(probe, tmp_path))
