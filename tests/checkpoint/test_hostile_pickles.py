"""Pickles that ask for more than tensors, or are damaged: refused by name, nothing of them is run."""

import collections
import fractions
import io
import os
import pickle
import random
import struct
import zipfile

import numpy
import pytest
import torch

MARKER = "cmc_was_run"


class Runs:
    """A pickle of this calls `function(*arguments)` when it is loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def write_zip(file, data, **entries):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in {"byteorder": b"little", "data/0": bytes(16), **entries}.items():
            archive.writestr(f"archive/{name}", content)


LEGACY_HEAD = pickle.dumps(torch.serialization.MAGIC_NUMBER, 2) + pickle.dumps(1001, 2) + pickle.dumps(
    {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)


def write_legacy(file, data):
    file.write_bytes(LEGACY_HEAD + data + pickle.dumps([], 2))


WRITERS = {"zip": write_zip, "legacy": write_legacy}


def hostile_calls(folder):
    touch = f"touch {folder / MARKER}"
    return {
        "posix.system": Runs(os.system, touch), "builtins.eval": Runs(eval, f"__import__('os').system({touch!r})"),
        "builtins.exec": Runs(exec, f"import os; os.system({touch!r})"), "builtins.getattr": Runs(getattr, "x", "upper"),
        "builtins.open": Runs(open, str(folder / MARKER), "w"), "builtins.__import__": Runs(__import__, "os"),
        "subprocess.Popen": Runs(__import__("subprocess").Popen, ["touch", str(folder / MARKER)]),
        "pickle.loads": Runs(pickle.loads, b"N."), "torch.load": Runs(torch.load, "x"),
        "torch.storage._load_from_bytes": Runs(torch.storage._load_from_bytes, b""),
        "fractions.Fraction": fractions.Fraction(1, 2), "collections.Counter": collections.Counter("ab"),
        "numpy": numpy.float64(1.5), "torch.device": torch.device("cpu"), "torch.nn.modules.linear.Linear": torch.nn.Linear(1, 1),
        "torch._utils._rebuild_sparse_tensor": torch.eye(2).to_sparse()}


NESTED = {"alone": lambda x: x, "entry": lambda x: {"weight": x}, "deep": lambda x: {"a": [({"b": [x]},)]},
          "key": lambda x: {1: {"k": [x, x]}}}


@pytest.mark.parametrize("where", NESTED)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("form", WRITERS)
def test_other_globals_are_refused_by_name(form, protocol, where, probe, tmp_path):
    for name, call in hostile_calls(tmp_path).items():
        data = io.BytesIO()
        try:
            if isinstance(call, (torch.nn.Module, torch.Tensor)):
                raise TypeError
            pickle.dump(NESTED[where](call), data, protocol)
            WRITERS[form](tmp_path / "pytorch_model.bin", data.getvalue())
        except TypeError:
            torch.save(NESTED[where](call), tmp_path / "pytorch_model.bin", pickle_protocol=max(protocol, 2))
        name = name.replace("builtins", "__builtin__") if protocol < 3 else name
        name = "Linear" if "Linear" in name else name
        error = probe.refused("tensors", 77, "pytorch_model.bin", "weights_only=False", folder=str(tmp_path), out=str(tmp_path / "o"))
        assert name.split(".")[-1] in error or protocol < 3 and name.endswith("loads") and "encode" in error, (name, error)
        assert not (tmp_path / MARKER).exists() and not (tmp_path / "o").exists()


def raw(text):
    return b"\x80\x04" + text


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
MALFORMED = {  # instructions, exit code, word of the message
    "inst": (b"(S'touch x'\nios\nsystem\n.", 77, "os.system"),
    "inst_of_a_known_class": (b"(icollections\nOrderedDict\n.", 65, "in a way that torch.save does not"),
    "obj": (b"(cos\nsystem\nS'x'\no.", 77, "os.system"),
    "obj_of_a_known_class": (b"(ccollections\nOrderedDict\no.", 65, "in a way"),
    "newobj_ex": (b"ccollections\nOrderedDict\n)}\x92.", 65, "in a way"),
    "newobj": (b"cos\nsystem\n(S'x'\nt\x81.", 77, "os.system"),
    "stack_global": (b"\x8c\x02os\x8c\x06system\x93(S'x'\ntR.", 77, "os.system"),
    "stack_global_in_parts": (b"\x8c\x05torch\x8c\x10_utils._rebuild_\x93.", 77, "torch._utils._rebuild_"),
    "stack_global_of_numbers": (b"K\x01K\x02\x93.", 65, "no text"),
    "stack_global_of_bytes": (b"C\x02osC\x06system\x93.", 65, "no text"),
    "dotted_name": (b"\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.", 77, "OrderedDict.__init__"),
    "name_in_other_case": (b"cCollections\nOrderedDict\n.", 77, "Collections.OrderedDict"),
    "name_with_a_space": (b"ccollections \nOrderedDict\n.", 77, "collections ."),
    "name_of_no_text": (b"c\xff\xfe\n\xff\n.", 77, "\ufffd"),
    "extension": (b"\x82\x01.", 77, "extension"),
    "persistent_line": (b"Pstorage\n.", 65, "line of text"),
    "persistent_text": (b"X\x07\x00\x00\x00storageQ.", 65, "no storage"),
    "persistent_empty": (b")Q.", 65, "no storage"),
    "persistent_module": (b"(X\x06\x00\x00\x00modulecos\nsystem\nNNtQ.", 77, "os.system"),
    "persistent_of_itself": (b"]q\x00h\x00Q.", 65, "no storage"),
    "storage_alone": (STORAGE + b".", 65, "no dictionary"),
    "storage_of_three": (b"}X\x01\x00\x00\x00x" + TENSOR + b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000tQ"
                         b"K\x00(t(t\x89NtRs.", 65, "unknown form"),
    "call_of_text": (b"S'os.system'\n(S'x'\ntR.", 65, "no function"),
    "call_of_a_storage_type": (b"ctorch\nFloatStorage\n)R.", 65, "no function"),
    "call_of_a_dtype": (b"ctorch\nfloat32\n)R.", 65, "no function"),
    "build_on_a_list": (b"]}b.", 65, "no OrderedDict"),
    "build_on_a_class": (b"ccollections\nOrderedDict\n}b.", 65, "no OrderedDict"),
    "build_with_slots": (b"}(N}tb.", 65, "no OrderedDict"),
    "dictionary_of_numbers": (b"}K\x01K\x02s.", 65, "no tensors"),
    "only_nested": (b"}X\x05\x00\x00\x00model}X\x01\x00\x00\x00xK\x01ss.", 65, "model"),
    "tensor_of_nothing": (b"}X\x01\x00\x00\x00x" + TENSOR + b")Rs.", 65, "too few parts"),
    "tensor_without_a_name": (b"}K\x01" + TENSOR + b"(" + STORAGE + b"K\x00K\x04\x85K\x01\x85\x89NtRs.", 65, "without a name"),
    "parameter_of_a_list": (b"ctorch._utils\n_rebuild_parameter\n(]\x89NtR.", 65, "no tensor"),
    "odd_dictionary": (b"}(K\x01u.", 65, "key without a value"),
    "items_of_a_tuple": (b")K\x01a.", 65, "no container"),
    "empty_stack": (b"0.", 65, "empty stack"),
    "nothing": (b".", 65, "empty stack"),
    "no_mark": (b"t.", 65, "no mark"),
    "unknown_memo": (b"h\x05.", 65, "memo"),
    "unknown_instruction": (b"\xff", 65, "unknown instruction"),
    "buffer": (b"\x97.", 65, "outside the file"),
    "later_protocol": (b"\x80\x09.", 65, "protocol"),
    "cut_off": (b"}X\x05\x00\x00\x00mo", 65, "truncated"),
    "no_end": (b"}", 65, "truncated"),
    "long_text": (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", 65, "truncated"),
    "text_that_wraps": (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", 65, "truncated"),
    "long_of_4_gb": (b"\x8b\xff\xff\xff\xffx.", 65, "truncated"),
    "name_of_no_text_for_a_tensor": (b"}X\x02\x00\x00\x00\xff\xfe" + TENSOR + b"(" + STORAGE + b"K\x00K\x04\x85K\x01\x85\x89NtRs.", 65, "no text"),
    "no_number": (b"Iabc\n.", 65, "number"),
    "bad_escape": (b"Va\\u12\n.", 65, "escape"),
}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case, form, probe, tmp_path):
    data, code, word = MALFORMED[case]
    WRITERS[form](tmp_path / "pytorch_model.bin", raw(data))
    probe.refused("tensors", code, "pytorch_model.bin", word, folder=str(tmp_path), out=str(tmp_path / "o"))
    assert not (tmp_path / "o").exists()


def tensor(shape, strides, offset=0, kind=b"FloatStorage", count=4):
    def tuple_of(numbers):
        return b"(" + b"".join(b"I%d\n" % n for n in numbers) + b"t"

    storage = STORAGE.replace(b"FloatStorage", kind).replace(b"K\x04", b"I%d\n" % count)
    return raw(b"}X\x01\x00\x00\x00x" + TENSOR + b"(" + storage + b"I%d\n" % offset + tuple_of(shape) + tuple_of(strides) + b"\x89NtRs.")


SHAPES = {
    "good": (tensor([2, 2], [2, 1]), 0, ""), "good_expanded": (tensor([2, 9, 2], [2, 0, 1]), 0, ""),
    "too_long": (tensor([5], [1]), 65, "behind its storage"), "offset_behind": (tensor([2], [1], 3), 65, "behind its storage"),
    "stride_behind": (tensor([2], [4]), 65, "behind its storage"), "negative_stride": (tensor([2], [-1], 2), 65, "no whole numbers"),
    "negative_size": (tensor([-2], [1]), 65, "no whole numbers"), "negative_offset": (tensor([2], [1], -1), 65, "offset"),
    "huge_size": (tensor([2**47, 2**47], [0, 0]), 65, "more elements"), "expanded_bomb": (tensor([2**40], [0]), 65, "more elements"),
    "stride_overflows": (tensor([2**20, 2**20], [2**48, 2**48]), 65, "more elements"),
    "dimensions_differ": (tensor([2, 2], [1]), 65, "strides"), "seventeen": (tensor([1] * 17, [1] * 17), 65, "no sizes"),
    "storage_too_long": (tensor([5], [1], count=5), 65, "fewer numbers"), "storage_negative": (tensor([1], [1], count=-1), 65, "unknown form"),
    "storage_huge": (tensor([1], [1], count=2**62), 65, "unknown form"),
    "complex": (tensor([1], [1], kind=b"ComplexFloatStorage"), 65, "ComplexFloatStorage"),
    "quantised": (tensor([1], [1], kind=b"QInt8Storage"), 65, "quantised"),
    "unknown_storage": (tensor([1], [1], kind=b"NoStorage"), 77, "torch.NoStorage"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case, probe, tmp_path):
    data, code, word = SHAPES[case]
    write_zip(tmp_path / "pytorch_model.bin", data)
    request = {"folder": str(tmp_path), "out": str(tmp_path / "o")}
    if code:
        probe.refused("tensors", code, "pytorch_model.bin", word, **request)
    else:
        probe.value("tensors", **request)


def test_types_that_are_not_read(probe, tmp_path):
    for dtype, word in ((torch.float8_e4m3fn, "quantised"), (torch.uint16, "uint16"), (torch.complex64, "Complex")):
        torch.save({"x": torch.zeros(4, dtype=dtype)}, tmp_path / "pytorch_model.bin")
        probe.refused("tensors", 65, "pytorch_model.bin", word, folder=str(tmp_path), out=str(tmp_path / "o"))


BOMBS = {  # a few hundred thousand bytes that would fill memory if they were followed
    "deep_lists": b"]" * 300_000 + b"a" * 299_999 + b".",
    "deep_tuples": b")" + b"\x85" * 300_000 + b".",
    "doubling": b"](" + b"K\x01" * 200 + b"eq\x00" + b"".join(b"]q\x01(" + b"h\x00" * 200 + b"eq\x00" for _ in range(300)) + b".",
    "dicts_of_one_list": b"](" + b"(K\x01K\x02l" * 20_000 + b"eq\x00" + b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R0" * 30_000 + b".",
    "marks": b"(" * 400_000 + b".",
    "memo": b"N" + b"".join(b"r" + struct.pack("<I", 7919 * i % 2**32) for i in range(150_000)) + b".",
    "copies": b"N" + b"2" * 1_000_000 + b".",
}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("case", BOMBS)
def test_bombs(case, form, tmp_path):
    """In a process that may not take more than 2 GiB."""
    import resource
    import subprocess
    WRITERS[form](tmp_path / "pytorch_model.bin", raw(BOMBS[case]))
    program = os.path.join(os.environ["CMC_BIN"], "fuzz_torch_file")
    done = subprocess.run([program, tmp_path / "pytorch_model.bin"], capture_output=True, text=True, timeout=60,
                          preexec_fn=None if "ASAN_OPTIONS" in os.environ else lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)))
    assert done.returncode == 0 and "refused (65)" in done.stderr, done.stderr


def test_files_that_are_something_else(probe, tmp_path):
    """What lies under the name of pytorch_model.bin and is none."""
    torch.save({"x": torch.ones(2)}, tmp_path / "saved")
    whole = (tmp_path / "saved").read_bytes()
    from safetensors.torch import save
    kinds = {"big-endian": None, "truncated": whole[:-200], "TorchScript": None, "tar": b"x" * 257 + b"ustar\0" + bytes(300),
             "none of torch.save": pickle.dumps({"x": 1}), "under the name of a pickle": save({"x": torch.ones(2)}), "is empty": b"",
             "without its directory": whole[:60], "no data.pkl": None, "there twice": None, "no pickle of weights": b"nonsense"}
    for word, data in kinds.items():
        file = tmp_path / "pytorch_model.bin"
        if word == "big-endian":
            write_zip(file, pickle.dumps({}), byteorder=b"big")
        elif word == "TorchScript":
            torch.jit.script(torch.nn.Linear(2, 2)).save(str(file))
        elif word in ("no data.pkl", "there twice"):
            with zipfile.ZipFile(file, "w") as archive:
                for _ in range(2 if word == "there twice" else 1):
                    archive.writestr("archive/other", b"x")
        else:
            file.write_bytes(data)
        probe.refused("tensors", 77 if word == "TorchScript" else 65, "pytorch_model.bin", word, folder=str(tmp_path), out=str(tmp_path / "o"))
    big = LEGACY_HEAD.replace(b"\x88", b"\x89", 1)
    (tmp_path / "pytorch_model.bin").write_bytes(big + pickle.dumps({}) + pickle.dumps([]))
    probe.refused("tensors", 65, "big-endian", folder=str(tmp_path), out=str(tmp_path / "o"))


@pytest.mark.parametrize("form", [{}, {"_use_new_zipfile_serialization": False}])
def test_every_truncation_and_random_damage(form, probe, tmp_path):
    state = collections.OrderedDict({f"layer.{i}": torch.randn(3, 4).t() for i in range(3)})
    torch.save(state, tmp_path / "good", **form)
    good = (tmp_path / "good").read_bytes()
    rng, outcomes = random.Random(5), set()
    variants = [good[:length] for length in range(0, len(good) - 1, 7)]
    for _ in range(600):
        damaged = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        variants.append(bytes(damaged))
    for data in variants:
        (tmp_path / "pytorch_model.bin").write_bytes(data)
        outcomes.add(probe.ask("tensors", folder=str(tmp_path), out=str(tmp_path / "o")).get("code", 0))
    assert outcomes <= {0, 65, 77} and 65 in outcomes
