"""What a user can get wrong: each gives its exit code and a message that names file, field and remedy."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import support_pipeline as support
from support_pipeline import cmc, mpi, world  # noqa: F401


def broken(world, tmp_path, model="other"):
    """A copy of one model to spoil, and the setting that puts it in."""
    folder = shutil.copytree(world[0] / model, tmp_path / model)
    return folder, f"model.{model}.path={folder}"


def run(world, tmp_path, setting, expect, *more):
    done = cmc("run", world[1], "--output", tmp_path / "out", "--set", setting, *more, expect=expect)
    return done.stderr


def test_truncated_weights(world, tmp_path):
    folder, setting = broken(world, tmp_path)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert "model.safetensors" in run(world, tmp_path, setting, 65)


def test_missing_shard(world, tmp_path):
    folder, setting = broken(world, tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002-of-00002" in run(world, tmp_path, setting, 66)


def test_unknown_architecture(world, tmp_path):
    folder, setting = broken(world, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"], config["model_type"] = ["NovelForCausalLM"], "novel"
    (folder / "config.json").write_text(json.dumps(config))
    error = run(world, tmp_path, setting, 65)
    assert "novel" in error and "llama" in error


def test_tokenizer_larger_than_the_model(world, tmp_path):
    folder, setting = broken(world, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] = 700
    (folder / "config.json").write_text(json.dumps(config))
    assert "tokenizer" in run(world, tmp_path, setting, 65)


def test_pickled_weights_that_ask_for_more_than_tensors(world, tmp_path):
    folder, setting = broken(world, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "rename it" in run(world, tmp_path, setting, 65)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    message = run(world, tmp_path, setting, 77)
    assert "pytorch_model.bin" in message and "os.system" in message


def test_dataset_line_that_is_not_json(world, tmp_path):
    tofu = shutil.copytree(world[0] / "data" / "tofu", tmp_path / "tofu")
    with open(tofu / "forget01_perturbed.json", "a") as file:
        file.write("{broken\n")
    assert "forget01_perturbed.json:13" in run(world, tmp_path, f"data.tofu={tofu}", 65)


def test_unknown_key_names_the_nearest(world, tmp_path):
    error = run(world, tmp_path, "instruct.strenghts=1", 78)
    assert "instruct.strengths" in error


def test_top_is_for_one_to_many(world, tmp_path):
    error = run(world, tmp_path, "fusion.top=100", 78)
    assert "fusion.top" in error and "token_map.method" in error
    prompts = tmp_path / "p.jsonl"
    prompts.write_text('{"prompt": "a"}\n')
    verb = ["generate", "--model", world[0] / "other", "--delta", world[0] / "small", "--prompts", prompts]
    assert "one_to_many" in cmc(*verb, "--top", 5, expect=2).stderr
    assert "--top 10" in cmc(*verb, "--map", "top_union", expect=2).stderr
    assert "minimum" in cmc(*verb, "--unmapped", "sideways", expect=78).stderr
    assert "one_to_many" in cmc(*verb, "--map", "sideways", expect=2).stderr


def test_missing_model(world, tmp_path):
    assert "/nowhere" in run(world, tmp_path, "model.other.path=/nowhere", 66)


def test_output_of_another_experiment(world, tmp_path):
    cmc("run", world[1], "--output", tmp_path / "out", "--only", "token_map")
    other = tmp_path / "another.ini"
    shutil.copy(world[1], other)
    assert "tiny" in cmc("run", other, "--output", tmp_path / "out", expect=78).stderr


def test_delta_of_another_vocabulary(world, tmp_path):
    error = run(world, tmp_path, f"delta.d.path={world[0] / 'other'}", 65)
    assert "vocabulary" in error


def test_delta_that_claims_a_foreign_tokenizer(world, tmp_path):
    """The verbs too: weights of 600 tokens beside a tokenizer of 900."""
    folder = shutil.copytree(world[0] / "small", tmp_path / "delta")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    for file in (world[0] / "other").glob("tokenizer*"):
        shutil.copy(file, folder)
    prompts = tmp_path / "p.jsonl"
    prompts.write_text('{"prompt": "a"}\n')
    error = cmc("generate", "--model", world[0] / "large", "--delta", folder, "--prompts", prompts, expect=65).stderr
    assert "tokenizer" in error


def test_full_disk_keeps_what_was_finished(world, tmp_path):
    """Files may not grow beyond a size that units fit in and trained models do not: EFBIG, as a quota gives it."""
    folder = tmp_path / "out"
    command = f'trap "" XFSZ; ulimit -f 40; exec {mpi.program("cmc")} run {world[1]} --output {folder}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=mpi.environment())
    assert done.returncode == 74, done.stderr[-2000:]
    kept = support.units(folder)
    assert "0 damaged" in cmc("verify", folder).stdout
    cmc("run", world[1], "--output", folder)
    assert kept.keys() <= support.units(folder).keys()


@pytest.mark.parametrize("arguments, code", [
    (["frobnicate"], 2), (["run"], 2), (["run", "no.ini"], 66), (["status", "/tmp"], 66), (["map", "--from", "x"], 2),
    (["run", "{ini}", "--shard", "2/2"], 2), (["plan", "{ini}", "--only", "nonsense"], 2), (["export", "xml", "/tmp"], 2),
    (["tokenize", "--tokenizer", "/nowhere", "--texts", "/nowhere"], 66),
])
def test_usage(world, arguments, code):
    assert cmc(*[a.replace("{ini}", str(world[1])) for a in arguments], expect=code).stderr.strip()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.safetensors.index.json", "generation_config.json", "tokenizer.json",
                                  "tokenizer_config.json", "added_tokens.json"])
@pytest.mark.parametrize("kind", ["loop", "zeros", "fifo"])
def test_a_name_that_leads_to_no_file(world, tmp_path, name, kind):
    """A link to itself, a device without end, a FIFO that nobody writes to: named, and not waited for."""
    folder, _ = broken(world, tmp_path)
    (folder / name).unlink(missing_ok=True)
    if name == "model.safetensors.index.json":
        (folder / "model.safetensors").unlink()
    if kind == "fifo":
        if name not in ("tokenizer.json", "model.safetensors"):
            return  # each is read by one function of these two, after 10 seconds
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to(name if kind == "loop" else "/dev/zero")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "a", "answer": "b"}\n')
    assert name in cmc("score", "--model", folder, "--pairs", pairs, expect=66, timeout=60).stderr


def test_texts_from_a_pipe(world, tmp_path):
    command = f"{mpi.program('cmc')} tokenize --model {world[0]}/small --texts <(sleep 1; echo '{{\"text\": \"a\"}}')"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["text"] == "a", done.stderr
