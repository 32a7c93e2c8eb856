"""benchmark.py on tiny models: the same work for every system, and the table says what the JSON holds. No figure is judged."""

import json
import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "decode"), str(HERE.parent / "differential")]
import published  # noqa: E402
import systems  # noqa: E402
import tiny_checkpoints as tiny  # noqa: E402

PEERS = ["published", "transformers", *(["ctranslate2"] if find_spec("ctranslate2") else [])]
NAMES = {"published": "published loop", "transformers": "transformers", "ctranslate2": "CTranslate2"}
TRAINING = {"training step, 16 examples": ["cmc, states kept", "cmc, template run each step", "PyTorch loop, states kept",
                                           "PyTorch loop, template run each step"],
            "LoRA step, 16 examples": ["cmc", "peft"]}
PROMPTS, NEW, REPEAT = 3, 4, 2


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A template whose end token is what it says first, so that who heeds it writes less, and a model of another vocabulary."""
    root = tmp_path_factory.mktemp("models")
    byte, other = tiny.byte_level_bpe(600), tiny.sentencepiece_bpe(900, dummy_prefix=True)
    tiny.write(root / "small", tiny.llama(byte[0].get_vocab_size(), 1), *byte)
    tiny.write(root / "other", tiny.gemma(other[0].get_vocab_size(), 3), *other)
    said = published.generate(published.load_model(root / "small"), byte[0], first_prompt(), 1)["ids"]
    for name in ("config.json", "generation_config.json"):
        file = root / "small" / name
        if file.exists():
            file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": said[0]}))
    return root


def first_prompt():
    import made_data
    return made_data.evaluation_prompts(PROMPTS)[0]["instruction"]


def benchmark(models, *arguments, expect=0, **environment):
    command = [sys.executable, str(HERE / "benchmark.py"), "--models", "small,other", "--prompts", str(PROMPTS), "--new", str(NEW),
               "--repeat", str(REPEAT), "--threads", "1", *arguments]
    done = subprocess.run(command, text=True, capture_output=True, env={**os.environ, "CMC_MODELS": str(models), **environment})
    assert done.returncode == expect, done.stderr
    return done


def test_the_end_token_can_be_ignored(models, tmp_path):
    cmc, = systems.find_programs("cmc")
    file = systems.jsonl(tmp_path / "prompts.jsonl", [{"prompt": first_prompt()}])
    given = [cmc, "generate", 1, "--model", models / "small", "--new", NEW, "--prompts", file]
    assert systems.run_cmc(*given)[1][0] == {"ids": [], "text": "", "stop": "end_token"}
    line = systems.run_cmc(*given, "--ignore-end", "--warm-up", 2)[1][0]
    model, tokenizer = published.load_model(models / "small"), published.load_tokenizer(models / "small")
    assert line["ids"] == published.generate(model, tokenizer, first_prompt(), NEW)["ids"] and line["stop"] == "length"


def test_equal_work_and_a_table_of_it(models, tmp_path):
    file = tmp_path / "runs.json"
    done = benchmark(models, "--batch", "1,2", "--peers", ",".join([*PEERS, "pytorch", "peft"]), "--json", str(file))
    found = json.loads(file.read_text())
    rows = found["rows"]
    assert {(row["model"], row["what"]) for row in rows} == {
        *((model, what) for model in ("small", "other") for what in ("vanilla", "scoring, vanilla", "scoring, fused")),
        ("small", "fused, same vocabulary"), ("other", "fused, other vocabulary"), *(("small", what) for what in TRAINING)}
    for what, names in TRAINING.items():
        assert [row["system"] for row in rows if row["what"] == what and row["runs"]] == names
    vanilla = [row for row in rows if row["what"] == "vanilla"]
    for model in ("small", "other"):
        for batch in (1, 2):
            assert [row["system"] for row in vanilla if (row["model"], row["batch"]) == (model, batch)] == ["cmc", *(NAMES[peer] for peer in PEERS)]
    fused = {row["system"] for row in rows if row["what"].startswith("fused")}
    assert fused == {"cmc", "cmc, no delta", *(NAMES[peer] for peer in PEERS if peer == "published")}
    for row in rows:
        assert len(row["runs"]) == REPEAT or (not row["runs"] and row["why"]), row
        if "new" in row:
            assert all((run["first"]["tokens"], run["all"]["tokens"]) == (PROMPTS, PROMPTS * NEW) for run in row["runs"]), row
    assert {(row["model"], row["what"], row["batch"], row["system"]) for row in rows if not row["runs"] and row["system"] != "CTranslate2"} == {
        *((model, what, 2, "published loop") for model, what in [("small", "vanilla"), ("other", "vanilla"),
                                                                 ("small", "fused, same vocabulary"), ("other", "fused, other vocabulary")])}
    scored = [row for row in rows if row["what"].startswith("scoring")]
    for model in ("small", "other"):
        assert len({run["all"]["tokens"] for row in scored if row["model"] == model for run in row["runs"]}) == 1
    expect_table(done.stdout, rows)
    assert found["machine"]["threads"] == 1 and found["machine"]["numbers"] == "float32" and found["machine"]["others"] >= 0


def expect_table(text, rows):
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")][2:]
    assert len(lines) == len(rows)
    for cells, row in zip(lines, rows):
        assert cells[:4] == [row["model"], row["what"], str(row["batch"] or ""), row["system"]]
        values = [run["value"] for run in row["runs"]]
        if not values or None in values:  # so few tokens may be too fast to be timed
            assert cells[6] == "–" and row["why"] in text and (values or cells[4:6] == ["–", "–"])
            continue
        assert numbers_of(cells[6]) == pytest.approx([statistics.median(values), min(values), max(values)], rel=6e-3)
        own = [run["value"] for other in rows if other["system"] == "cmc" and (other["model"], other["what"], other["batch"]) == (
            row["model"], row["what"], row["batch"]) for run in other["runs"]]
        if not own or None in own or row["system"] == "cmc":
            assert cells[8] == "–"
            continue
        speeds = [theirs / ours if row["unit"] == "s" else ours / theirs for ours, theirs in zip(own, values)]
        assert numbers_of(cells[8]) == pytest.approx([statistics.median(speeds), min(speeds), max(speeds)], rel=6e-3)


def numbers_of(cell):
    return [float(number) for number in cell.replace("(", " ").replace(")", " ").replace("–", " ").split()]


def test_what_is_missing_is_one_line(models, tmp_path):
    def line(*arguments, **environment):
        told = benchmark(models, "--peers", "published", *arguments, expect=66, **environment).stderr.splitlines()
        return told[0] if len(told) == 1 else pytest.fail(str(told))

    assert "absent" in line("--models", "absent") and "CMC_BIN" in line(CMC_BIN=str(tmp_path))
    (tmp_path / "torch.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert "requirements-test.txt" in line(PYTHONPATH=path)
    (tmp_path / "torch.py").unlink()
    (tmp_path / "ctranslate2.py").write_text("raise ImportError")
    assert "requirements-benchmark.txt" in line("--peers", "ctranslate2", PYTHONPATH=path)


def test_usage(models):
    for wrong in (["--new", "1"], ["--what", "nothing"], ["--peers", "nobody"], ["--batch", "0"]):
        assert "--new is 2 at least" in benchmark(models, *wrong, expect=2).stderr
