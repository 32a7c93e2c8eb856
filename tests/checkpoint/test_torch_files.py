"""pytorch_model.bin: what torch.save writes in each of its forms is read bit for bit, live, and the same as transformers has it."""

import collections
import json
import os
import random
import struct
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
         torch.uint8, torch.bool]
FORMS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


def sample(dtype, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * 50).to(torch.int16 if dtype == torch.uint8 else dtype).to(dtype)


def read(probe, folder):
    probe.value("tensors", folder=str(folder), out=str(folder / "again"))
    return load_file(folder / "again")


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        tensor = tensor.detach()
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
        assert torch.equal(found[name].contiguous().view(torch.uint8) if tensor.numel() and tensor.dim() else found[name],
                           tensor.contiguous().view(torch.uint8) if tensor.numel() and tensor.dim() else tensor), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_type(form, protocol, probe, tmp_path):
    tensors = {f"t{i}": sample(dtype, (3, i + 1), i) for i, dtype in enumerate(TYPES)}
    tensors["scalar"], tensors["empty"] = torch.tensor(1.5), torch.zeros(0, 4)
    tensors["nan"] = torch.tensor([float("nan"), -0.0, float("inf")])
    torch.save(tensors, tmp_path / "pytorch_model.bin", pickle_protocol=protocol, **FORMS[form])
    assert_same(read(probe, tmp_path), tensors)


def random_view(rng, base):
    """A view of `base`, which is flat."""
    kind = rng.choice(["plain", "transposed", "strided", "expanded", "slice", "permuted", "diagonal", "empty", "flipped"])
    if kind == "plain":
        return base.view(-1)
    if kind == "transposed":
        return base[:24].view(4, 6).t()
    if kind == "strided":
        return base[rng.randrange(5):60:rng.randrange(1, 7)]
    if kind == "expanded":
        return base[3:6].view(3, 1).expand(3, rng.randrange(1, 9))
    if kind == "slice":
        return base[:48].view(6, 8)[rng.randrange(3):, rng.randrange(4):rng.randrange(5, 8)]
    if kind == "permuted":
        return base[:60].view(3, 4, 5).permute(rng.sample(range(3), 3))
    if kind == "diagonal":
        return base[:49].view(7, 7).diagonal()
    return base[:0].view(0, 5) if kind == "empty" else base[7:30].flip(0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(12))
def test_random_state_dicts(form, seed, probe, tmp_path):
    """Views, transposed, shared storages, parameters; as a dict, an OrderedDict, a module's state dict with its versions."""
    rng = random.Random(seed)
    bases = [sample(rng.choice(TYPES), (64,), seed * 10 + i) for i in range(4)]
    state = {f"layer.{i}.values": random_view(rng, rng.choice(bases)) for i in range(rng.randrange(1, 12))}
    state["tied"] = next(iter(state.values()))
    if rng.random() < 0.5:
        state["parameter"] = torch.nn.Parameter(torch.randn(3, 5).t())
    if rng.random() < 0.5:
        state = collections.OrderedDict(state)
        state._metadata = collections.OrderedDict({"": {"version": 1}, "layer": {"version": 2}})
    torch.save(state, tmp_path / "pytorch_model.bin", **FORMS[form])
    live = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert_same(read(probe, tmp_path), live)


@pytest.mark.parametrize("form", FORMS)
def test_a_modules_state_and_what_is_no_tensor(form, probe, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3), torch.nn.Embedding(9, 4))
    state = module.state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin", **FORMS[form])
    assert_same(read(probe, tmp_path), state)
    mixed = {"step": 3, "lr": 0.5, "name": "naïve", "none": None, "flags": [True, (1, 2), {"a": b"x"}, {5}], "big": 2**100,
             "negative": -5, "dtype": torch.bfloat16, "size": torch.Size([2, 3]), "naïve.weight": torch.arange(6)}
    torch.save(mixed, tmp_path / "pytorch_model.bin", pickle_protocol=4, **FORMS[form])
    assert_same(read(probe, tmp_path), {"naïve.weight": torch.arange(6)})


def test_a_name_that_comes_again_replaces(probe, tmp_path):
    """Items of one dictionary put twice: the last is kept, as Python does."""
    state = collections.OrderedDict({"a": torch.ones(3), "b": torch.zeros(2)})
    torch.save(state, tmp_path / "pytorch_model.bin")
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin") as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    repeated = {name: data.replace(b"X\x01\x00\x00\x00b", b"X\x01\x00\x00\x00a") for name, data in entries.items()}
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        for name, data in repeated.items():
            archive.writestr(name, data)
    live = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert set(live) == {"a"} and len(live["a"]) == 2
    assert_same(read(probe, tmp_path), live)


def test_python_2_and_protocol_0(probe, tmp_path):
    """Texts as lines, an OrderedDict of pairs: as Python 2 pickled them."""
    def storage(key):
        return b"(S'storage'\nctorch\nFloatStorage\nS'%b'\nS'cpu'\nL3L\nNtQ" % key

    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage(b"77") + b"I0\n(I3\nt(L1L\nttR"
    pairs = b"ccollections\nOrderedDict\np0\n((lp1\n(lp2\nS'weight'\np3\na" + tensor + b"aa(lp4\nVna\xefve\\u0020x\na" + tensor + b"aatR."
    numbers = torch.tensor([1.5, -2.0, 3.25])
    head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x01U\x0dlittle_endianq\x02\x88s."
    (tmp_path / "pytorch_model.bin").write_bytes(
        head + pairs + b"(lp0\nS'77'\np1\na." + struct.pack("<q", 3) + numbers.numpy().tobytes())
    assert_same(read(probe, tmp_path), {"weight": numbers, "naïve x": numbers})


@pytest.mark.parametrize("form", FORMS)
def test_shards_and_order_of_files(form, probe, tmp_path):
    """As transformers: model.safetensors, its index, pytorch_model.bin, its index."""
    parts = {"pytorch_model-00001-of-00002.bin": {"x": sample(torch.float32, (4, 4))},
             "pytorch_model-00002-of-00002.bin": {"y": sample(torch.bfloat16, (5,)), "left out": sample(torch.float16, (2,))}}
    for name, part in parts.items():
        torch.save(part, tmp_path / name, **FORMS[form])
    index = {"metadata": {}, "weight_map": {"x": "pytorch_model-00001-of-00002.bin", "y": "pytorch_model-00002-of-00002.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert_same(read(probe, tmp_path), {k: v for part in parts.values() for k, v in part.items()})
    torch.save({"single": torch.ones(2)}, tmp_path / "pytorch_model.bin", **FORMS[form])
    assert_same(read(probe, tmp_path), {"single": torch.ones(2)})
    save_file({"safe shard": torch.ones(3)}, tmp_path / "model-1.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"safe shard": "model-1.safetensors"}}))
    assert_same(read(probe, tmp_path), {"safe shard": torch.ones(3)})
    save_file({"safe": torch.ones(4)}, tmp_path / "model.safetensors")
    assert_same(read(probe, tmp_path), {"safe": torch.ones(4)})


@pytest.mark.parametrize("form", FORMS)
def test_equal_to_transformers(form, probe, tmp_path):
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                         num_key_value_heads=1)
    model = LlamaForCausalLM(config)
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin", **FORMS[form])
    live = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).state_dict()
    assert_same(read(probe, tmp_path), live)


def test_identity_of_pickled_weights(probe, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    torch.save({"x": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    first = probe.value("identity", folder=str(tmp_path))["identity"]
    torch.save({"x": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    assert probe.value("identity", folder=str(tmp_path))["identity"] != first


def test_more_than_four_gigabytes(probe, tmp_path):
    """Sizes and offsets of 64 bits (zip64): a sparse file with storages behind 4 GiB, which torch itself opens."""
    with torch.serialization.skip_data():
        torch.save({"large": torch.empty(2**32 + 100, dtype=torch.uint8), "last": torch.empty(3)}, tmp_path / "pytorch_model.bin")
    live = torch.load(tmp_path / "pytorch_model.bin", weights_only=True, mmap=True)
    offset = torch.load(tmp_path / "pytorch_model.bin", weights_only=True, map_location="meta")
    assert live["large"].numel() == 2**32 + 100 and os.path.getsize(tmp_path / "pytorch_model.bin") > 2**32
    with torch.serialization.skip_data(), open(tmp_path / "pytorch_model.bin", "r+b") as file:
        places = {name: tensor.untyped_storage()._checkpoint_offset for name, tensor in offset.items()}
        file.seek(places["last"])
        file.write(struct.pack("<fff", 1.5, 2.5, -3.0))
        file.seek(places["large"] + 2**32 + 99)
        file.write(b"\x07")
    answer = probe.value("ends", folder=str(tmp_path))
    assert answer == {"large": [2**32 + 100, 7], "last": [3, -3.0]}


ZIPPED = {"deflated": zipfile.ZIP_DEFLATED, "stored": zipfile.ZIP_STORED}


@pytest.mark.parametrize("how", ZIPPED)
def test_archive_that_another_program_packed(how, probe, tmp_path):
    tensors = {"x": torch.arange(1000).float()}
    torch.save(tensors, tmp_path / "saved")
    with zipfile.ZipFile(tmp_path / "saved") as old, zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w", ZIPPED[how]) as new:
        new.comment = b"a comment PK\x05\x06 of its own"
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    if how == "stored":  # unaligned: copied
        assert_same(read(probe, tmp_path), tensors)
    else:
        probe.refused("tensors", 65, "pytorch_model.bin", "compressed", folder=str(tmp_path), out=str(tmp_path / "o"))
