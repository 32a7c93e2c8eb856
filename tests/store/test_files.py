"""Units and results.h5 as other programs see them: h5dump, h5py, xarray; and what a kill or a full disk leaves behind."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy
import pytest
import xarray

PROBE = Path(os.environ["CMC_BIN"]) / "probe_store"
TEXTS = ["", 'naïve 中文 🙂\n"quoted"', "a\ufffdb\ufffd"]  # NUL is shown as U+FFFD; zero_bytes tells where


def probe(*arguments, **options):
    return subprocess.run([PROBE, *map(str, arguments)], capture_output=True, text=True, **options)


def must(*arguments):
    done = probe(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    must("publish", folder, "a", "b")
    must("results", folder)
    return folder / "results.h5"


def every_dataset(file):
    found = []
    file.visititems(lambda name, thing: found.append(thing) if isinstance(thing, h5py.Dataset) else None)
    return found


def unit_group(file):
    return next(iter(file["instruct"].values()))


def test_root_attributes(results):
    with h5py.File(results) as file:
        expected = {
            "Conventions", "schema_version", "title", "history", "references",
            "software", "softwareVersion", "softwareDependencies", "machine", "date",
        }  # fmt: skip
        assert expected <= set(file.attrs)
        assert all(isinstance(file.attrs[name], str) and file.attrs[name] for name in expected)
        assert file["configuration/experiment"].asstr()[()] == "[run]\nseed = 1\n"
        assert json.loads(file["configuration/environment"].asstr()[()])["host"] == "node1"


def test_h5py_sees_names_units_and_values(results):
    with h5py.File(results) as file:
        for dataset in every_dataset(file):
            assert dataset.attrs["units"] and dataset.attrs["long_name"], dataset.name
            if not dataset.is_scale:
                for axis in range(dataset.ndim):
                    scale = dataset.dims[axis][0]  # follows DIMENSION_LIST; fails without a scale
                    assert scale.shape == (dataset.shape[axis],), dataset.name
        group = unit_group(file)
        assert [scale.name.split("/")[-1] for scale in (group["wrong"].dims[0][0], group["wrong"].dims[1][0])] == ["prompt", "choice"]
        assert group["response"].asstr()[:].tolist() == TEXTS
        assert group["response"].attrs["zero_bytes"].tolist() == [2, 1, 2, 3]
        assert group["reference_logprob"][:].tolist() == [-1.5, 0.1 + 0.2, -3e-300]
        assert group["reference_logprob"].attrs["definition"] == "sum over its tokens"
        assert group["stopped"][:].tolist() == [1, 0, -(2**31)]
        assert group["wrong"][:].tolist() == [[1, 2], [3, 4], [5, 6.5]]
        assert group["step"][:].tolist() == [0, 10, 20, 2**60]
        offsets, values = group["response_tokens_offsets"][:], group["response_tokens_values"][:]
        assert [values[a:b].tolist() for a, b in zip(offsets, offsets[1:])] == [[5, 6, 7], [], [8]]
        assert json.loads(group.attrs["task"])["seed"] == 2**64 - 1
        assert (group.attrs["target"], group.attrs["method"], group.attrs["alpha"]) == ("SmolLM2", "cmc", 0.5)
        references = group["prompt"].attrs["REFERENCE_LIST"]
        assert {file[row["dataset"]].name.split("/")[-1] for row in references} == {
            "response", "reference_logprob", "reference_tokens", "stopped", "wrong",
        }  # fmt: skip


def test_numbers_are_filtered_and_carry_no_times(results):
    with h5py.File(results) as file:
        for dataset in every_dataset(file):
            if dataset.dtype.kind == "O" or dataset.size == 0 or dataset.ndim == 0:
                continue
            assert dataset.shuffle and dataset.fletcher32 and dataset.compression == "gzip", dataset.name
            assert not dataset.id.get_create_plist().get_obj_track_times(), dataset.name
    assert results.read_bytes()[8] == 3, "superblock of the v1.10 format"


@pytest.mark.parametrize("elements", [1000, 40_000, 131_072, 1_000_003])
def test_chunks_stay_between_256_kib_and_1_mib(tmp_path, elements):
    must("version", tmp_path, elements, 1)
    [unit] = tmp_path.glob("units/*/*.h5")
    with h5py.File(unit) as file:
        chunk = file["version"].chunks[0] * 8
        assert chunk <= 1 << 20
        assert chunk >= 256 << 10 or chunk == elements * 8
        assert file["version"][1] == 1 + 2654435761 % 1000003


def test_xarray_shows_named_dimensions(results):
    with h5py.File(results) as file:
        groups = ["tasks", "configuration", *(f"instruct/{name}" for name in file["instruct"])]
    for group in groups:
        with xarray.open_dataset(results, engine="h5netcdf", group=group) as opened:
            assert not [name for name in opened.sizes if "phony" in name], opened
            opened.load()
    with xarray.open_dataset(results, engine="h5netcdf", group=groups[-1]) as opened:
        assert opened.sizes["prompt"] == 3 and opened["wrong"].dims == ("prompt", "choice")
        assert opened["response"].values.tolist() == TEXTS
        assert opened["loss"].sel(step=20).item() == 2
        assert opened["reference_logprob"].attrs["units"] == "nat"
    with xarray.open_dataset(results, engine="h5netcdf", group="tasks") as opened:
        table = opened.to_dataframe()
        assert table["target"].tolist() == ["SmolLM2"] * 2 and table["wall_seconds"].tolist() == [1.25] * 2
        assert numpy.isnan(table["peak_bytes"]).all(), "what was not measured is no zero"


def test_h5dump_reads_results_and_units(results):
    for file in [results, *results.parent.glob("units/*/*.h5")]:
        done = subprocess.run(["h5dump", file], capture_output=True, text=True)
        assert done.returncode == 0 and "unable" not in done.stderr, done.stderr
        assert 'DATASET "reference_logprob"' in done.stdout and "phony" not in done.stdout
        assert "DIMENSION_SCALE" in done.stdout and "SmolLM2" in done.stdout


def test_checksum_can_be_checked_by_hand(results):
    for file in results.parent.glob("units/*/*.h5"):
        content, seal = file.read_bytes()[:-142], file.read_bytes()[-142:].decode().split()
        assert seal == ["cmc", "sha256", hashlib.sha256(content).hexdigest(), file.stem]


def test_verify_names_a_flipped_bit(results, tmp_path):
    must("publish", tmp_path, "a", "b")
    assert json.loads(must("verify", tmp_path)) == []
    victim = sorted(tmp_path.glob("units/*/*.h5"))[0]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 8
    victim.write_bytes(content)
    [[key, what]] = json.loads(must("verify", tmp_path))
    assert key == victim.stem and "SHA-256" in what
    failed = probe("results", tmp_path)
    assert failed.returncode == 65 and victim.name in failed.stderr


def test_a_killed_writer_leaves_the_old_or_the_new_unit(tmp_path):
    """30 writers killed at all moments of a publication; the file may never be a mixture or absent once it existed."""
    seen = set()
    for attempt in range(30):
        writer = subprocess.Popen([PROBE, "versions", tmp_path, "60000"], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline()  # one version is published
        time.sleep(0.002 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert json.loads(must("verify", tmp_path)) == []
        [unit] = tmp_path.glob("units/*/*.h5")
        with h5py.File(unit) as file:
            values = file["version"][:]
        version = values[0]
        index = numpy.arange(1, len(values), dtype=numpy.uint64)
        assert (values[1:] == version + (index * 2654435761) % 1000003).all(), "one version throughout"
        seen.add(version)
    assert len(seen) > 1, "the kills must fall on more than one moment"


def test_many_writers_of_one_unit(tmp_path):
    writers = [subprocess.Popen([PROBE, "version", tmp_path, "50000", str(version)]) for version in range(1, 9)]
    assert [writer.wait() for writer in writers] == [0] * 8
    assert json.loads(must("verify", tmp_path)) == []
    [unit] = tmp_path.glob("units/*/*.h5")
    assert [path for path in unit.parent.iterdir()] == [unit], "no temporary is left"


def limit_file_size(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write() then fails like on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_failed_write_is_74_and_leaves_nothing(tmp_path):
    must("publish", tmp_path, "a")
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    failed = probe("publish", tmp_path, "b", preexec_fn=limit_file_size(8192))
    assert failed.returncode == 74, failed.stderr
    must("results", tmp_path)
    old = (tmp_path / "results.h5").read_bytes()
    failed = probe("results", tmp_path, preexec_fn=limit_file_size(8192))
    assert failed.returncode == 74 and "results.h5" in failed.stderr
    assert (tmp_path / "results.h5").read_bytes() == old
    after = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert after == sorted([*before, tmp_path / "results.h5"])


def seal(path, label):
    content = path.read_bytes()
    path.write_bytes(content + f"\ncmc sha256 {hashlib.sha256(content).hexdigest()} {label:<64}\n".encode())


def hostile(change):
    """A whole, sealed HDF5 file that does not follow the schema."""

    def make(path):
        with h5py.File(path, "w", libver="v110") as file:
            file.attrs.update({"schema_version": "1.0", "title": "t"})
            configuration = file.create_group("configuration")
            configuration["experiment"] = "x"
            configuration["environment"] = "{}"
            group = file.create_group("train/abc")
            group.attrs.update({"key": "k", "stage": "train", "task": "{}", "provenance": "{}", "cost": "{}"})
            step = group.create_dataset("step", data=[0, 1, 2])
            step.make_scale("step")
            loss = group.create_dataset("loss", data=[1.0, 2.0, 3.0])
            loss.dims[0].attach_scale(step)
            change(file, group)
        seal(path, "results")

    return make


def without(name):
    return lambda file, group: group.attrs.pop(name)


def huge(file, group):
    group.create_dataset("huge", shape=(1 << 50,), dtype="f4", chunks=(1 << 10,)).make_scale("huge")


def ragged(offsets):
    def change(file, group):
        values = group.create_dataset("x_values", data=numpy.arange(3, dtype="i4"))
        values.attrs.update({"role": "ragged_values", "ragged_dimension": "prompt"})
        values.make_scale("v")
        if offsets is not None:
            group.create_dataset("x_offsets", data=numpy.array(offsets, dtype="i8")).attrs["role"] = "ragged_offsets"

    return change


HOSTILE = {
    "no schema": lambda file, group: file.attrs.pop("schema_version"),
    "other schema": lambda file, group: file.attrs.modify("schema_version", "3.0"),
    "schema is a number": lambda file, group: file.attrs.create("schema_version", 1.0),
    "schema is two texts": lambda file, group: file.attrs.create("schema_version", ["1.0", "1.0"]),
    "no title": lambda file, group: file.attrs.pop("title"),
    "no configuration": lambda file, group: file.pop("configuration"),
    "experiment is a number": lambda file, group: (file.pop("configuration/experiment"), file.__setitem__("configuration/experiment", 3)),
    "environment is no JSON": lambda file, group: (
        file.pop("configuration/environment"), file.__setitem__("configuration/environment", "{")),
    "no key": without("key"),
    "no task": without("task"),
    "task is no JSON": lambda file, group: group.attrs.modify("task", "{"),
    "stage is a dataset": lambda file, group: file.create_dataset("other", data=1),
    "unit is a dataset": lambda file, group: file.create_dataset("train/other", data=1),
    "group in a unit": lambda file, group: group.create_group("inner"),
    "axis without a name": lambda file, group: group.create_dataset("bare", data=[1, 2]),
    "type is complex": lambda file, group: group.create_dataset("c", data=numpy.array(1j)),
    "type is int8": lambda file, group: group.create_dataset("c", data=numpy.int8(1)),
    "empty dataspace": lambda file, group: group.create_dataset("c", data=h5py.Empty("f4")),
    "more shape than data": huge,
    "dangling link": lambda file, group: group.__setitem__("gone", h5py.SoftLink("/nowhere")),
    "external link": lambda file, group: group.__setitem__("gone", h5py.ExternalLink("/etc/passwd", "/")),
    "ragged without offsets": ragged(None),
    "ragged offsets fall": ragged([0, 2, 1, 3]),
    "ragged offsets end early": ragged([0, 2]),
    "ragged offsets beyond": ragged([0, 1 << 40]),
    "zero bytes outside": lambda file, group: group.create_dataset("t", data=numpy.array("x", dtype=h5py.string_dtype())).attrs.create(
        "zero_bytes", [0, 99]),
    "zero bytes before": lambda file, group: group.create_dataset("t", data=numpy.array("x", dtype=h5py.string_dtype())).attrs.create(
        "zero_bytes", [-1, -1]),
    "references are numbers": lambda file, group: (
        group["loss"].attrs.pop("DIMENSION_LIST"), group["loss"].attrs.create("DIMENSION_LIST", [1])),
    "null reference": lambda file, group: (
        group["loss"].attrs.pop("DIMENSION_LIST"),
        group["loss"].attrs.create("DIMENSION_LIST", numpy.array([numpy.array([h5py.Reference()], dtype=h5py.ref_dtype), None],
                                                                 dtype=object)[:1], dtype=h5py.vlen_dtype(h5py.ref_dtype))),
}  # fmt: skip


def test_the_hostile_base_is_readable(tmp_path):
    hostile(lambda file, group: None)(tmp_path / "r.h5")
    assert json.loads(must("read_results", tmp_path / "r.h5")) == {"title": "t", "units": 1}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_clear_error(tmp_path, name):
    hostile(HOSTILE[name])(tmp_path / "r.h5")
    done = probe("read_results", tmp_path / "r.h5")
    assert done.returncode == 65, (done.returncode, done.stdout, done.stderr)
    assert "r.h5" in done.stderr and len(done.stderr) < 400, done.stderr


def test_a_file_without_seal_is_refused(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["x"] = 1
    assert probe("read_results", tmp_path / "r.h5").returncode == 65
    assert probe("read_results", tmp_path / "absent.h5").returncode == 66
