"""The readers against Python's own json, on the real files and on random ones."""

import hashlib
import json
import os
import pathlib
import random
import subprocess

import made_data
import outside
import pytest

SOURCE = pathlib.Path(os.environ["CMC_SOURCE"])
PROBE = pathlib.Path(os.environ["CMC_BIN"]) / "probe_data"

PLAIN = "full forget01 forget05 forget10 retain90 retain95 retain99 real_authors world_facts".split()
PERTURBED = [name + "_perturbed" for name in "forget01 forget05 forget10 retain real_authors world_facts".split()]


def run(*words):
    return subprocess.run([PROBE, *map(str, words)], capture_output=True)


def probe(*words):
    done = run(*words)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def check_head(result, path):
    assert result["name"] == path.stem
    assert result["hash"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", PLAIN)
def test_tofu(name):
    result, path = probe("tofu", outside.data("tofu"), name), outside.data("tofu", name + ".json")
    check_head(result, path)
    assert result["items"] == [{k: row[k] for k in ("question", "answer")} for row in lines(path)]


@pytest.mark.parametrize("name", PERTURBED)
def test_tofu_perturbed(name):
    result, path = probe("tofu_perturbed", outside.data("tofu"), name, 300), outside.data("tofu", name + ".json")
    check_head(result, path)
    assert result["items"] == [
        {
            "question": row["question"],
            "answer": row["answer"],
            "paraphrased_answer": row.get("paraphrased_answer", row["answer"]),
            "paraphrased_question": row.get("paraphrased_question", ""),
            "perturbed_answer": row["perturbed_answer"],
        }
        for row in lines(path)[:300]
    ]


def joined(row):
    """open-instruct's encode_instruction_example without the random templates."""
    instruction, extra = row["instruction"].strip(), row.get("input", "").strip()
    return {"question": instruction + "\n\n" + extra if extra else instruction, "answer": row["output"].strip()}


def test_alpaca():
    path = outside.data("alpaca_gpt4", "alpaca_en_demo.json")
    result = probe("alpaca", path)
    check_head(result, path)
    assert result["items"] == [joined(row) for row in json.loads(path.read_text())]
    assert probe("alpaca", path, 7)["items"] == result["items"][:7]


@pytest.mark.parametrize("name", ["alpaca_eval.json", "alpaca_farm_evaluation_merge.json"])
def test_alpaca_eval(name):
    path = outside.data("alpaca_eval", name)
    result = probe("alpaca_eval", path)
    check_head(result, path)
    assert len(result["items"]) == 805
    fields = ("instruction", "output", "generator", "dataset")
    assert result["items"] == [{k: row[k] for k in fields} for row in json.loads(path.read_text())]


SPACES = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and chr(c).isspace())


def test_alpaca_white_space(tmp_path):
    """Ends are cut exactly where str.strip() cuts them; look-alikes stay."""
    rng = random.Random(0)
    ends = SPACES + "\u200b\ufeff\u180e\u0000é"
    edge = lambda: "".join(rng.choice(ends) for _ in range(rng.randrange(5)))
    rows = [{k: edge() + "a b" + edge() for k in ("instruction", "input", "output")} for _ in range(500)]
    for row in rows[:100]:
        row["input"] = "".join(rng.choice(SPACES) for _ in range(rng.randrange(4)))
    path = tmp_path / "alpaca.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert probe("alpaca", path)["items"] == [joined(row) for row in rows]


@pytest.mark.parametrize("name", ["train_head2000.jsonl", "test.jsonl"])
def test_gsm8k(name):
    path = outside.data("gsm8k", name)
    result = probe("gsm8k", path)
    check_head(result, path)
    assert result["items"] == lines(path)


def ifeval_rows(count, seed):
    """Of the published form: half with null for what an instruction does not take, as Hugging Face's copy has it."""
    rng = random.Random(seed)
    for key in range(count):
        kwargs = [{"num_words": rng.choice([3, 3.0]), "relation": "at least"}, {"keywords": [random_text(rng), "b"]}, {}]
        if rng.random() < 0.5:
            kwargs = [{"num_words": None, "relation": None, "keywords": None, "letter": None, **one} for one in kwargs]
        rng.shuffle(kwargs)
        yield {"key": 7 * key, "prompt": random_text(rng), "instruction_id_list": ["a:b", "c:d", "e"], "kwargs": kwargs}


def test_ifeval(tmp_path):
    rows, path = list(ifeval_rows(60, 4)), tmp_path / "input_data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = probe("ifeval", path)
    check_head(result, path)
    for row in rows:
        row["kwargs"] = [{k: v for k, v in one.items() if v is not None} for one in row["kwargs"]]
    assert result["items"] == rows
    assert probe("ifeval", path, 7)["items"] == rows[:7]



def test_retained_and_forgotten_make_the_full_set():
    full = probe("tofu", outside.data("tofu"), "full")["items"]
    for forget, retain in (("forget01", "retain99"), ("forget05", "retain95"), ("forget10", "retain90")):
        assert probe("tofu", outside.data("tofu"), retain)["items"] + probe("tofu", outside.data("tofu"), forget)["items"] == full


def partner(seed, epoch, index, count):
    """SplitMix64 from a seed of SHA-256, in Python."""
    parts = ["retain_partner", str(seed), str(epoch), str(index)]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    mask = 2**64 - 1
    z = (int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (index + (z ^ (z >> 31)) % count) % count


def test_retain_partners():
    for seed, epoch in ((0, 0), (0, 1), (42, 19)):
        drawn = probe("partners", seed, epoch, 400, 3600)
        assert drawn == [partner(seed, epoch, i, 3600) for i in range(400)]
        assert len(set(drawn)) > 350, "partners must be spread over the retained set"


ALPHABET = "aZ0 .,\t\n\"\\/{}[]:é日本😀\u0000\u2028\u00a0\ufeff"


def random_text(rng):
    return "x" + "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(30)))


@pytest.mark.parametrize("seed", range(5))
def test_random_files(tmp_path, seed):
    rng = random.Random(seed)
    rows = [
        {
            "question": random_text(rng),
            "answer": random_text(rng),
            "perturbed_answer": [random_text(rng) for _ in range(3)],
            "extra": rng.choice([None, 1, {"a": []}]),
        }
        for _ in range(50)
    ]
    ending, escaped = rng.choice(["\n", "\r\n"]), seed % 2 == 0
    text = ending.join(json.dumps(row, ensure_ascii=escaped) for row in rows) + rng.choice(["", ending])
    (tmp_path / "some_set.jsonl").write_bytes(text.encode())
    got = probe("tofu_perturbed", tmp_path, "some_set")["items"]
    assert [(i["question"], i["answer"], i["perturbed_answer"]) for i in got] == [
        (r["question"], r["answer"], r["perturbed_answer"]) for r in rows
    ]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_never_crash(tmp_path, seed):
    """Truncated anywhere, or with a byte changed: read right or refused with 65, and the file is named."""
    rng = random.Random(seed)
    whole = "".join(json.dumps(row) + "\n" for row in made_data.tofu_rows(1)).encode()[:6000].rsplit(b"\n", 1)[0]
    path = tmp_path / "damaged.json"
    for _ in range(60):
        bytes_ = bytearray(whole)
        if rng.random() < 0.5:
            del bytes_[rng.randrange(len(bytes_)) :]
        else:
            bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
        path.write_bytes(bytes_)
        done = run("tofu_perturbed", tmp_path, "damaged")
        assert done.returncode in (0, 65), (done.returncode, done.stderr)
        if done.returncode == 65:
            assert b"damaged.json" in done.stderr, done.stderr
