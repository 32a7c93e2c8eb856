"""Texts and tokenizers the text and token_map tests share."""
import json
import os
import random
import subprocess
from pathlib import Path

import made_data
import outside

SOURCE = Path(os.environ["CMC_SOURCE"])
BIN = Path(os.environ["CMC_BIN"])


def probe(*arguments, lines=(), program="probe_text"):
    """The probe's answers, one JSON value for each line given."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([BIN / program, *map(str, arguments)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"{program} {arguments} failed with {done.returncode}: {done.stderr}"
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert not lines or len(answers) == len(lines)
    return answers


def failure(*arguments, program="probe_text"):
    """Exit code and message of a call that must fail."""
    done = subprocess.run([BIN / program, *map(str, arguments)], input="", capture_output=True, text=True)
    return done.returncode, done.stderr


def instruction_texts():
    """AlpacaEval's where it is, else made-up ones."""
    file = outside.data_if_there("alpaca_eval", "alpaca_eval.json")
    rows = json.loads(file.read_text(encoding="utf-8")) if file else made_data.evaluation_prompts(805)
    assert len(rows) == 805
    return [row[key] for row in rows for key in ("instruction", "output")]


def gsm8k_texts():
    texts = []
    for file in ("test.jsonl", "train_head2000.jsonl"):
        for line in outside.data("gsm8k", file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            texts += [row["question"], row["answer"]]
    assert len(texts) == 2 * (2000 + 1319)
    return texts


# What a tokenizer can stumble over: (first, last) code points to draw from, and how often.
BLOCKS = [
    (8, [(0x20, 0x7E)]),
    (3, [(0x61, 0x7A), (0x30, 0x39)]),
    (2, [(0x20, 0x20), (0x0A, 0x0A)]),
    (2, [(0x1F300, 0x1FAFF), (0x2600, 0x27BF), (0x1F1E6, 0x1F1FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F)]),  # emoji
    (2, [(0x4E00, 0x9FFF), (0x3040, 0x30FF), (0xAC00, 0xD7A3), (0xFF00, 0xFFEF)]),  # CJK
    (1, [(0x00, 0x1F), (0x7F, 0x9F)]),  # controls
    (1, [(0x300, 0x36F), (0x1AB0, 0x1AFF), (0x20D0, 0x20FF)]),  # combining marks
    (1, [(0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x2064), (0xA0, 0xA0), (0x3000, 0x3000), (0x1680, 0x1680),
         (0x180E, 0x180E), (0x85, 0x85), (0xFEFF, 0xFEFF)]),  # odd spaces
    (1, [(0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xE7F)]),
    (1, [(0x2581, 0x2581), (0xFFFD, 0xFFFD), (0x212A, 0x212B), (0xFB00, 0xFB06), (0x1E00, 0x1EFF), (0xF900, 0xFAFF)]),
    (1, [(0x00, 0xD7FF), (0xE000, 0x10FFFF)]),  # anything at all, unassigned too
]
FRAGMENTS = ["<s>", "</s>", "<unk>", "<bos>", "<0x0A>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<start_of_turn>",
             "\r\n", "\n\n\n", "  ", "    ", "\t", "'s", "'LL", "'ve", "...", "1234567", "\u2581", "👩‍👩‍👧‍👦", "é", "e\u0301",
             "\u00a0", "ﬁ", "Ⅷ", "½", "[INST]", "<unused1>", "[multimodal]"]


def random_texts(count=5000, seed=20240610):
    rng = random.Random(seed)
    weights = [weight for weight, _ in BLOCKS]
    texts = []
    for _ in range(count):
        parts = []
        kinds = rng.choices(BLOCKS, weights, k=rng.randint(1, 4))
        for _ in range(rng.randint(0, 40)):
            if rng.random() < 0.06:
                parts.append(rng.choice(FRAGMENTS))
                continue
            first, last = rng.choice(rng.choice(kinds)[1])
            parts.append(chr(rng.randint(first, last)))
        texts.append("".join(parts))
    return texts


def all_texts():
    return instruction_texts() + gsm8k_texts() + random_texts()


def show(text, ours, theirs):
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return f"{text!r}: from token {at} on {ours[at:at + 8]} instead of {theirs[at:at + 8]}"
