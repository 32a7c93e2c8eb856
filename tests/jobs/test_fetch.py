"""jobs/fetch.sh against a small hub on this machine: what is fetched, resumed, checked, and what it says without a network."""

import hashlib
import os
import random
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import outside
from support_hub import Hub, git_hash

ROOT = Path(os.environ["CMC_SOURCE"])
RANDOM = random.Random(1)
WEIGHTS = RANDOM.randbytes(6_000_000)


@pytest.fixture
def hub():
    running = Hub()
    running.repositories[("model", "owner/tiny")] = {
        "config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}", "model-00001-of-00001.safetensors": WEIGHTS,
        "model.safetensors.index.json": b'{"weight_map": {}}', "pytorch_model.bin": b"pickle", "tiny.Q4.gguf": b"GGUF",
        "original/consolidated.00.pth": b"x", "model.fp16.safetensors": b"half", "README.md": b"read", "tf_model.h5": b"h5"}
    running.repositories[("model", "owner/old")] = {"config.json": b"{}", "pytorch_model.bin": b"a pickle", "training_args.bin": b"x"}
    running.repositories[("dataset", "locuslab/TOFU")] = {"full.json": b'{"question": 1}\n', "forget01.json": b"{}\n", "README.md": b"x"}
    running.repositories[("dataset", "tatsu-lab/alpaca_eval")] = {"alpaca_eval.json": b"[]", "alpaca_eval.py": b"print(1)"}
    running.large = {"model-00001-of-00001.safetensors", "pytorch_model.bin"}
    yield running
    running.close()


def environment(tmp_path, hub=None, **more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_", "CMC_MODELS", "CMC_DATA"))}
    return {**clean, "CMC_MODELS": str(tmp_path / "models"), "CMC_DATA": str(tmp_path / "data"), "HF_HOME": str(tmp_path / "home"),
            "CMC_VENV": str(Path(sys.executable).parent.parent),
            **({"HF_ENDPOINT": hub.address, "CMC_DATA_MIRROR": hub.address + "/mirror"} if hub else {}), **more}


def fetch(tmp_path, *arguments, hub=None, expect=0, **more):
    done = subprocess.run([ROOT / "jobs/fetch.sh", *arguments], env=environment(tmp_path, hub, **more), capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, done
    return done


def test_a_model(hub, tmp_path):
    """Config, tokenizer and safetensors; not the other formats of the same weights. A second run fetches nothing."""
    done = fetch(tmp_path, "models", "owner/tiny", hub=hub)
    folder = tmp_path / "models" / "tiny"
    names = {path.name for path in folder.iterdir()} - {".fetched.json"}
    assert names == {"config.json", "tokenizer.json", "model-00001-of-00001.safetensors", "model.safetensors.index.json"}
    assert (folder / "model-00001-of-00001.safetensors").read_bytes() == WEIGHTS and "licence: made-up-1.0" in done.stderr
    hub.asked.clear()
    fetch(tmp_path, "models", "owner/tiny", hub=hub)
    assert not [one for one in hub.asked if one[0] == "GET" and "resolve" in one[1]]
    fetch(tmp_path, "models", "other=owner/old@main", hub=hub)
    assert {path.name for path in (tmp_path / "models" / "other").iterdir()} == {".fetched.json", "config.json", "pytorch_model.bin"}


def test_an_interrupted_download_goes_on(hub, tmp_path):
    """Killed in the middle of the weights, then run again: the rest alone is asked for."""
    name = "model-00001-of-00001.safetensors"
    hub.broken_after[name] = 4_000_000
    run = subprocess.Popen([ROOT / "jobs/fetch.sh", "models", "owner/tiny"], env=environment(tmp_path, hub), stderr=subprocess.DEVNULL)
    assert hub.sent.wait(60)
    part = tmp_path / "models" / "tiny" / (name + ".incomplete")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (not part.exists() or part.stat().st_size < 3_000_000):
        time.sleep(0.05)
    run.kill()
    run.wait()
    assert not (tmp_path / "models" / "tiny" / name).exists()
    hub.release.set()
    hub.asked.clear()
    fetch(tmp_path, "models", "owner/tiny", hub=hub)
    ranges = [one[2] for one in hub.asked if one[0] == "GET" and one[1].endswith(name)]
    assert len(ranges) == 1 and int(re.fullmatch(r"bytes=(\d+)-", ranges[0])[1]) >= 3_000_000
    assert (tmp_path / "models" / "tiny" / name).read_bytes() == WEIGHTS


@pytest.mark.parametrize("name", ["model-00001-of-00001.safetensors", "config.json"])
def test_other_bytes_are_found_and_fetched_anew(name, hub, tmp_path):
    right = hub.repositories[("model", "owner/tiny")][name]
    hub.altered[name] = right[:-1] + bytes([right[-1] ^ 1])  # of the same size
    done = fetch(tmp_path, "models", "owner/tiny", hub=hub, expect=65)
    assert name in done.stderr and "removed: run again" in done.stderr and not (tmp_path / "models" / "tiny" / name).exists()
    hub.altered.clear()
    fetch(tmp_path, "models", "owner/tiny", hub=hub)
    assert (tmp_path / "models" / "tiny" / name).read_bytes() == right


def test_a_folder_that_somebody_else_made_is_left(hub, tmp_path):
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("mine")
    assert "left as it is" in fetch(tmp_path, "models", "owner/tiny", hub=hub).stderr
    assert (folder / "config.json").read_text() == "mine" and not list(folder.glob("*.safetensors"))


def test_what_an_experiment_names(hub, tmp_path):
    """A file, or a name in jobs/experiments: its models' folders, its data sets' files."""
    hub.repositories[("model", "nickypro/tinyllama-15M")] = hub.repositories[("model", "owner/tiny")]
    file = tmp_path / "mine.ini"
    file.write_text("[model.a]\npath = ${CMC_MODELS}/stories15M\n# path = ${CMC_MODELS}/left-out\n[data]\ntofu = ${CMC_DATA}/tofu\n"
                    "alpaca_eval = ${CMC_DATA}/alpaca_eval/alpaca_eval.json\n")
    fetch(tmp_path, "models", file, hub=hub)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["stories15M"]
    done = fetch(tmp_path, "data", file, hub=hub)
    assert {path.name for path in (tmp_path / "data" / "tofu").iterdir()} == {".fetched.json", "full.json", "forget01.json"}
    assert (tmp_path / "data" / "alpaca_eval" / "alpaca_eval.json").read_bytes() == b"[]" and not list((tmp_path / "data").rglob("*.py"))
    assert "licence: MIT" in done.stderr and "CC BY-NC 4.0" in done.stderr


def test_every_experiment_is_known(tmp_path):
    """Each folder and data set that jobs/experiments name has an address."""
    for experiment in sorted((ROOT / "jobs/experiments").glob("*.ini")):
        if "${CMC_MODELS}" not in experiment.read_text():
            continue
        done = fetch(tmp_path, "models", experiment.stem, HF_HUB_OFFLINE="1", expect=66)
        named = set(re.findall(r"^path = \$\{CMC_MODELS\}/(\S+)", experiment.read_text(), re.M))
        lines = done.stdout.splitlines()
        assert len(lines) == len(named) and all(any(f"/{folder}'" in line for line in lines) for folder in named), experiment
        done = fetch(tmp_path, "data", experiment.stem, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9", CMC_DATA_MIRROR="http://127.0.0.1:9", expect=66)
        assert done.stdout, experiment


def plain_data(hub):
    """The data sets that are not on the hub, made up, with the hashes that the script holds replaced in a copy of it."""
    lines = b"".join(b'{"question": "q%d", "answer": "#### %d"}\n' % (i, i) for i in range(2500))
    hub.plain = {"mirror/gsm8k/train.jsonl": lines, "mirror/gsm8k/test.jsonl": b"{}\n",
                 "mirror/alpaca_gpt4/alpaca_gpt4_data.json": b"[]", "mirror/alpaca_gpt4/alpaca_en_demo.json": b"[1]"}
    return lines


@pytest.fixture
def script(hub, tmp_path):
    """jobs/fetch.py whose pinned hashes are those of the made-up files."""
    plain_data(hub)
    text = (ROOT / "jobs/fetch.py").read_text()
    for path, data in hub.plain.items():
        file = path.split("/")[-1]
        text, count = re.subn(rf'("{re.escape(file)}": \(\w+ \+ "{re.escape(file)}", )"[0-9a-f]{{40}}"', rf'\1"{git_hash(data)}"', text)
        assert count == 1, file
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "fetch.py").write_text(text)

    def run(*arguments, expect=0, **more):
        done = subprocess.run([sys.executable, tmp_path / "jobs/fetch.py", *arguments], env=environment(tmp_path, hub, **more), capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == expect, done
        return done

    return run


def test_data_from_elsewhere(hub, script, tmp_path):
    script("data", "gsm8k", "alpaca_gpt4")
    for path, data in hub.plain.items():
        assert (tmp_path / "data" / path.removeprefix("mirror/")).read_bytes() == data
    hub.asked.clear()
    script("data")  # all; these two are there
    assert not [one for one in hub.asked if one[1].startswith("/mirror")]
    (tmp_path / "small.ini").write_text("other = ${CMC_DATA}/gsm8k/train_head2000.jsonl\n")
    script("data", str(tmp_path / "small.ini"))
    head = (tmp_path / "data/gsm8k/train_head2000.jsonl").read_bytes()
    assert head == b"".join(hub.plain["mirror/gsm8k/train.jsonl"].splitlines(True)[:2000])


def test_data_resumed_and_checked(hub, script, tmp_path):
    train = hub.plain["mirror/gsm8k/train.jsonl"]
    part = tmp_path / "data/gsm8k/train.jsonl.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(train[:50_000])
    script("data", "gsm8k")
    assert ("GET", "/mirror/gsm8k/train.jsonl", "bytes=50000-") in hub.asked
    assert (tmp_path / "data/gsm8k/train.jsonl").read_bytes() == train and not part.exists()
    (tmp_path / "data/gsm8k/test.jsonl").write_bytes(b"mine")
    assert "it was there before" in script("data", "gsm8k", expect=65).stderr
    assert (tmp_path / "data/gsm8k/test.jsonl").read_bytes() == b"mine"
    (tmp_path / "data/gsm8k/test.jsonl").unlink()
    hub.altered["mirror/gsm8k/test.jsonl"] = b"[]\n"
    assert "removed: run again" in script("data", "gsm8k", expect=65).stderr
    assert not list((tmp_path / "data/gsm8k").glob("test.jsonl*"))
    hub.altered.clear()
    hub.release.set()
    hub.broken_after["mirror/gsm8k/test.jsonl"] = 1  # goes on by itself
    script("data", "gsm8k")
    assert (tmp_path / "data/gsm8k/test.jsonl").read_bytes() == b"{}\n"


def test_a_server_that_breaks_every_connection(hub, script):
    hub.release.set()
    hub.always_broken = True
    assert "run again" in script("data", "gsm8k", expect=75).stderr
    hub.always_broken = False
    script("data", "gsm8k")


def test_the_token_stays_with_the_hub(hub, tmp_path):
    """The hub sends large files on to another server."""
    other = Hub()
    other.plain = {"store/config.json": b"{}"}
    hub.repositories[("model", "owner/tiny")] = {"config.json": b"{}"}
    hub.sent_on = {"config.json": other.address.replace("127.0.0.1", "localhost") + "/store/config.json"}
    fetch(tmp_path, "models", "owner/tiny", hub=hub, HF_TOKEN="hf_secret")
    assert {one.get("Authorization") for one in hub.headers} == {"Bearer hf_secret"}
    assert other.headers and not any("Authorization" in one for one in other.headers)
    other.close()


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


@pytest.mark.parametrize("how", ["refused", "offline"])
def test_without_a_network(how, tmp_path):
    more = {"HF_HUB_OFFLINE": "1"} if how == "offline" else {"HF_ENDPOINT": closed_port()}
    done = fetch(tmp_path, "models", "Mistral-7B-v0.1", "owner/tiny@abc", expect=66, **more)
    first, second = done.stdout.splitlines()
    assert shlex.split(first)[:7] == ["hf", "download", "mistralai/Mistral-7B-v0.1", "--revision", "main", "--local-dir",
                                      str(tmp_path / "models/Mistral-7B-v0.1")]
    assert shlex.split(second)[2:5] == ["owner/tiny", "--revision", "abc"] and "no network" in done.stderr
    done = fetch(tmp_path, "data", "gsm8k", "tofu", expect=66, CMC_DATA_MIRROR=closed_port(), **more)
    assert "locuslab/TOFU" in done.stdout and "train.jsonl" in done.stdout and "git hash-object" in done.stdout
    for line in done.stdout.splitlines():
        subprocess.run(["bash", "-n", "-c", line], check=True)


def test_what_is_refused(hub, tmp_path):
    assert "usage" in fetch(tmp_path, expect=2).stderr and "usage" in fetch(tmp_path, "models", expect=2).stderr
    fetch(tmp_path, "model", "x", expect=2)
    fetch(tmp_path, "data", "--force", expect=2)
    assert "no repository is known" in fetch(tmp_path, "models", "Llama-9", hub=hub, expect=66).stderr
    assert "neither a data set" in fetch(tmp_path, "data", "imagenet", hub=hub, expect=66).stderr
    assert "no such experiment" in fetch(tmp_path, "data", "none.ini", hub=hub, expect=66).stderr
    assert "no such repository" in fetch(tmp_path, "models", "owner/none", hub=hub, expect=66).stderr
    hub.gated.add("owner/tiny")
    assert "HF_TOKEN" in fetch(tmp_path, "models", "owner/tiny", hub=hub, expect=66).stderr
    (tmp_path / "models").rmdir() if (tmp_path / "models").is_dir() and not list((tmp_path / "models").iterdir()) else None
    file = tmp_path / "a_file"
    file.write_text("")
    assert "cannot be written" in fetch(tmp_path, "models", "owner/old", hub=hub, expect=73, CMC_MODELS=str(file)).stderr


def test_the_hashes_are_git_hashes(tmp_path):
    """The script's own digest against git's."""
    for data in (b"", b"x\n", WEIGHTS):
        (tmp_path / "file").write_bytes(data)
        git = subprocess.run(["git", "hash-object", tmp_path / "file"], capture_output=True, text=True, check=True).stdout.strip()
        code = f"import sys; sys.path.insert(0, {str(ROOT / 'jobs')!r}); import fetch, pathlib; print(fetch.digest(pathlib.Path('file'), 'git'), fetch.digest(pathlib.Path('file'), 'sha256'))"
        ours = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
        assert ours == [git, hashlib.sha256(data).hexdigest()]


def test_pinned_files_that_are_here():
    """The hashes in the script against copies of the published files, where this machine has them."""
    text = (ROOT / "jobs/fetch.py").read_text()
    for folder, name in (("gsm8k", "test.jsonl"), ("alpaca_gpt4", "alpaca_en_demo.json")):
        pinned = re.search(rf'"{re.escape(name)}", "([0-9a-f]{{40}})"', text)[1]
        assert pinned == git_hash(outside.data(folder, name).read_bytes())
