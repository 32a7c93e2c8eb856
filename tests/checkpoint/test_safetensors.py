"""Safetensors files: the reference library's are read bit for bit, ours are read by it, hostile ones are refused."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
         torch.uint8, torch.bool]


def sample(dtype, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator) * 50).to(torch.int16 if dtype == torch.uint8 else dtype).to(dtype)


def test_every_type_both_ways(probe, tmp_path):
    tensors = {f"t{i}": sample(dtype, (3, i + 1), i) for i, dtype in enumerate(TYPES)}
    tensors["scalar"], tensors["empty"] = torch.tensor(1.5), torch.zeros(0, 4)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    probe.value("tensors", folder=str(tmp_path), out=str(tmp_path / "again"))
    again = load_file(tmp_path / "again")
    assert set(again) == set(tensors)
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype and torch.equal(again[name], tensor)
    probe.value("tensors", folder=str(tmp_path), out=str(tmp_path / "more"))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "more").read_bytes()


def test_shards(probe, tmp_path):
    a, b = {"x": sample(torch.float32, (4, 4))}, {"y": sample(torch.bfloat16, (5,)), "z": sample(torch.float16, (2,))}
    save_file(a, tmp_path / "model-1.safetensors")
    save_file(b, tmp_path / "model-2.safetensors")
    index = {"weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors", "z": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    probe.value("tensors", folder=str(tmp_path), out=str(tmp_path / "again"))
    again = load_file(tmp_path / "again")
    assert all(torch.equal(again[name], tensor) for name, tensor in {**a, **b}.items()) and len(again) == 3
    (tmp_path / "model-2.safetensors").rename(tmp_path / "away")
    probe.refused("tensors", 66, "model-2.safetensors", "shard", folder=str(tmp_path), out=str(tmp_path / "o"))
    (tmp_path / "away").rename(tmp_path / "model-2.safetensors")
    index["weight_map"]["w"] = "model-1.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    probe.refused("tensors", 65, "no tensor w", folder=str(tmp_path), out=str(tmp_path / "o"))


@pytest.mark.parametrize("path", ["../x.safetensors", "/etc/passwd", "a/../../x", "", "a\\..\\b", 5, None, ".."])
def test_index_that_leaves_the_folder(path, probe, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": path}}))
    probe.refused("tensors", 65, "index.json", "outside the folder", folder=str(tmp_path), out=str(tmp_path / "o"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}'])
def test_index_that_is_none(text, probe, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    probe.refused("tensors", 65, "index.json", folder=str(tmp_path), out=str(tmp_path / "o"))


def test_no_weights(probe, tmp_path):
    probe.refused("tensors", 66, "does not exist", folder=str(tmp_path), out=str(tmp_path / "o"))
    probe.refused("tensors", 66, "is no folder", folder=str(tmp_path / "none"), out=str(tmp_path / "o"))


def packed(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = packed({"x": entry(0, 8, [2])}, b"\0" * 8)
HOSTILE = {
    "empty": (b"", "is empty"),
    "seven_bytes": (b"\1" * 7, "shorter"),
    "header_longer_than_file": (packed({}, length=50), "longer than the file"),
    "header_over_100_mb": (packed({}, b"\0" * 64, length=100_000_001), "100 MB"),
    "header_of_all_ones": (b"\xff" * 64, "100 MB"),
    "no_json": (packed(b"{nonsense}"), "JSON"),
    "no_object": (packed(b"[1]"), "JSON object"),
    "not_utf8": (packed(b'{"\xff\xfe": 1}'), "JSON"),
    "deep": (packed(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"), "deeply"),
    "duplicate_tensor": (packed(b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
                                b'"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', b"\0" * 8), "twice"),
    "duplicate_field": (packed(b'{"x":{"dtype":"F32","dtype":"F64","shape":[2],"data_offsets":[0,8]}}', b"\0" * 8), "twice"),
    **{f"type_{kind}": (packed({"x": entry(0, 8, [8], kind)}, b"\0" * 8), "quantised") for kind in ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4")},
    "unknown_type": (packed({"x": entry(0, 8, [2], "F7")}, b"\0" * 8), "unknown type"),
    "overflowing_shape": (packed({"x": entry(0, 8, [2**40, 2**40])}, b"\0" * 8), "overflow"),
    "overflow_to_zero": (packed({"x": entry(0, 0, [2**32, 2**32, 4])}, b""), "overflow"),
    "huge_size": (packed({"x": entry(0, 8, [2**63])}, b"\0" * 8), "overflow"),
    "negative_size": (packed({"x": entry(0, 8, [-2])}, b"\0" * 8), "whole number"),
    "fractional_size": (packed({"x": entry(0, 8, [2.0])}, b"\0" * 8), "whole number"),
    "text_size": (packed({"x": entry(0, 8, ["2"])}, b"\0" * 8), "whole number"),
    "offsets_of_three": (packed({"x": {**entry(0, 8, [2]), "data_offsets": [0, 4, 8]}}, b"\0" * 8), "pair"),
    "offsets_reversed": (packed({"x": entry(8, 0, [2])}, b"\0" * 8), "outside"),
    "offsets_beyond": (packed({"x": entry(0, 16, [4])}, b"\0" * 8), "outside"),
    "offsets_huge": (packed({"x": entry(2**63, 2**63 + 8, [2])}, b"\0" * 8), "outside"),
    "truncated": (GOOD[:-3], "truncated"),
    "shape_disagrees": (packed({"x": entry(0, 8, [3])}, b"\0" * 8), "need 12"),
    "overlap": (packed({"x": entry(0, 8, [2]), "y": entry(4, 12, [2])}, b"\0" * 12), "overlap"),
    "same_bytes": (packed({"x": entry(0, 8, [2]), "y": entry(0, 8, [2])}, b"\0" * 8), "overlap"),
    "gap": (packed({"x": entry(0, 8, [2]), "y": entry(12, 20, [2])}, b"\0" * 20), "gap"),
    "gap_at_the_start": (packed({"x": entry(4, 12, [2])}, b"\0" * 12), "gap"),
    "trailing": (GOOD + b"\0", "after its last tensor"),
    "zeros": (bytes(4096), "did not finish"),
    "pickle": (b"\x80\x02}q\x00X\x01\x00\x00\x00x", "torch.save"),
    "zip": (b"PK\x03\x04" + bytes(40), "torch.save"),
    "no_tensor_but_bytes": (packed({}, b"\0"), "after its last tensor"),
    "entry_is_number": (packed({"x": 3}), "lacks"),
    "no_dtype": (packed({"x": {"shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8), "lacks"),
    "metadata_is_list": (packed({"__metadata__": []}), "__metadata__"),
    "metadata_holds_number": (packed({"__metadata__": {"a": 1}}), "__metadata__"),
    "metadata_is_text": (packed({"__metadata__": "pt"}), "__metadata__"),
    "metadata_twice": (packed(b'{"__metadata__":{"a":"b"},"__metadata__":{"a":"c"}}'), "twice"),
    "metadata_key_twice": (packed(b'{"__metadata__":{"a":"b","a":"c"}}'), "twice"),
    "no_shape": (packed({"x": {"dtype": "F32", "data_offsets": [0, 8]}}, b"\0" * 8), "lacks"),
    "no_offsets": (packed({"x": {"dtype": "F32", "shape": [2]}}, b"\0" * 8), "lacks"),
    "entry_is_null": (packed({"x": None}), "lacks"),
    "type_is_number": (packed({"x": entry(0, 8, [2], 3)}, b"\0" * 8), "unknown type"),
    "type_in_lower_case": (packed({"x": entry(0, 8, [2], "f32")}, b"\0" * 8), "unknown type"),
    "shape_is_text": (packed({"x": entry(0, 8, "2")}, b"\0" * 8), "no list of sizes"),
    "shape_is_nested": (packed({"x": entry(0, 8, [[2]])}, b"\0" * 8), "whole number"),
    "shape_of_seventeen": (packed({"x": entry(0, 4, [1] * 17)}, b"\0" * 4), "no list of sizes"),
    "size_beyond_64_bits": (packed(b'{"x":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}', b"\0" * 8), "whole number"),
    "offsets_are_text": (packed({"x": {**entry(0, 8, [2]), "data_offsets": "0,8"}}, b"\0" * 8), "pair"),
    "offsets_negative": (packed({"x": entry(-8, 0, [2])}, b"\0" * 8), "whole number"),
    "offsets_fractional": (packed({"x": {**entry(0, 8, [2]), "data_offsets": [0.0, 8.0]}}, b"\0" * 8), "whole number"),
    "empty_tensor_outside": (packed({"x": entry(5, 5, [0])}), "outside"),
    "empty_tensor_inside_another": (packed({"x": entry(0, 8, [2]), "y": entry(4, 4, [0])}, b"\0" * 8), "overlap"),
    "header_of_no_bytes": (struct.pack("<Q", 0), "JSON"),
    "text_after_the_header": (packed(b"{} x"), "JSON"),
    "header_padded_with_nul": (packed(b"{}\0\0"), "JSON"),
    "trailing_comma": (packed(b'{"__metadata__":{},}'), "JSON"),
    "comment": (packed(b"{} // nothing"), "JSON"),
    "header_is_big_endian": (struct.pack(">Q", 2) + b"{}", "100 MB"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_header(case, probe, tmp_path):
    data, word = HOSTILE[case]
    (tmp_path / "model.safetensors").write_bytes(data)
    probe.refused("tensors", 65, "model.safetensors", word, folder=str(tmp_path), out=str(tmp_path / "o"))
    assert not (tmp_path / "o").exists()


def test_random_damage_never_crashes(probe, tmp_path):
    tensors = {f"layer.{i}": sample(torch.float32, (2, 3), i) for i in range(6)}
    save_file(tensors, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    length = 8 + struct.unpack("<Q", good[:8])[0]
    generator = torch.Generator().manual_seed(3)
    outcomes = set()
    for _ in range(400):
        damaged = bytearray(good)
        for _ in range(3):
            at = int(torch.randint(0, length, (1,), generator=generator))
            damaged[at] = int(torch.randint(0, 256, (1,), generator=generator))
        (tmp_path / "model.safetensors").write_bytes(bytes(damaged))
        answer = probe.ask("tensors", folder=str(tmp_path), out=str(tmp_path / "o"))
        outcomes.add(answer.get("code", 0))
    assert outcomes <= {0, 65} and 65 in outcomes


def test_good_file_of_the_hostile_tests(probe, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(GOOD)
    assert probe.value("tensors", folder=str(tmp_path), out=str(tmp_path / "o"))["names"] == ["x"]


def test_metadata_that_is_null(probe, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(packed({"__metadata__": None, "x": entry(0, 8, [2])}, b"\0" * 8))
    assert probe.value("tensors", folder=str(tmp_path), out=str(tmp_path / "o"))["names"] == ["x"]


def test_disk_refuses(probe, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(GOOD)
    probe.refused("tensors", 73, "none", folder=str(tmp_path), out=str(tmp_path / "none" / "o"))


def test_identity(probe, tmp_path):
    """Depends on content alone, not on the folder's name or times."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(GOOD)
    first, second = (probe.value("identity", folder=str(folder))["identity"] for folder in folders)
    assert first == second and len(first) == 64
    (folders[1] / "model.safetensors").write_bytes(packed({"x": entry(0, 8, [2])}, b"\1" * 8))
    assert probe.value("identity", folder=str(folders[1]))["identity"] != first
    (folders[0] / "config.json").write_text('{"a": 1}')
    assert probe.value("identity", folder=str(folders[0]))["identity"] != first
    (folders[0] / "config.json").unlink()
    probe.refused("identity", 66, "config.json", folder=str(folders[0]))
