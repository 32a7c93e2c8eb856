"""The verifiable rules and the repetition rate against regular expressions written from their definitions."""

import json
import random
import re

import pytest

from support_probe import evaluation_prompts

PUNCTUATION = "\"')]}*"


def words(text):
    return re.findall(r"[^ \t\n\v\f\r]+", text)


def has(text, word):
    edge = r"[A-Za-z0-9_\x80-\U0010ffff]"
    left = rf"(?<!{edge})" if re.match(edge, word) else ""
    right = rf"(?!{edge})" if re.match(edge, word[-1]) else ""
    return left + re.escape(ascii_lower(word)) + right


def ascii_lower(text):
    return re.sub("[A-Z]", lambda m: m[0].lower(), text)


def sentences(text):
    count, letter = 0, False
    for word in words(text):
        letter = letter or bool(re.search(r"[A-Za-z\x80-\U0010ffff]", word))
        if letter and re.search(r"[.!?][\"')\]}*]*$", word):
            count, letter = count + 1, False
    return count + letter


def is_json(text):
    if re.fullmatch(r"```.*```", text, re.S) and len(text) >= 6:
        fenced = re.fullmatch(r"```[^\n]*\n(.*)```", text, re.S)
        if not fenced:
            return False
        text = fenced[1]
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
        return True
    except (ValueError, ZeroDivisionError):
        return False


def expected(rule, text, chosen=(), least=0, most=10**9):
    text = text.strip(" \t\n\v\f\r")
    if not text:
        return False
    low = ascii_lower(text)
    counts = {
        "word_count": lambda: len(words(text)),
        "sentence_count": lambda: sentences(text),
        "bullet_count": lambda: len(re.findall(r"^[ \t\v\f\r]*[-*] ", text, re.M)),
        "paragraph_count": lambda: len([p for p in re.split(r"\n(?:[ \t\v\f\r]*\n)+", text) if p.strip(" \t\n\v\f\r")]),
    }
    if rule in counts:
        return least <= counts[rule]() <= most
    return {
        "starts_with": lambda: bool(re.match(has(low, chosen[0]), low)),
        "ends_with": lambda: bool(re.search(has(low, chosen[0]) + r"[^A-Za-z0-9_\x80-\U0010ffff]*\Z", low)),
        "ends_properly": lambda: bool(re.search(r"[.!?][\"')\]}*]*\Z", text)),
        "contains_all": lambda: all(re.search(has(low, w), low) for w in chosen),
        "contains_none": lambda: not any(re.search(has(low, w), low) for w in chosen),
        "lower_case": lambda: bool(re.search("[a-z]", text)) and not re.search("[A-Z]", text),
        "upper_case": lambda: bool(re.search("[A-Z]", text)) and not re.search("[a-z]", text),
        "json": lambda: is_json(text),
        "quoted": lambda: len(text) >= 2 and text[0] == text[-1] == '"',
        "said_twice": lambda: len(words(text)) % 2 == 0 and words(text)[: len(words(text)) // 2] * 2 == words(text),
    }[rule]()


def texts():
    rng = random.Random(0)
    pieces = ["the", "The", "THE", "end", "end.", "\n", "\n\n", " \n", "- ", "* ", "1. ", "é", "日本。", '"', "```", "```json\n",
              "{}", '{"a": 1}', "[1, 2]", "...", "?!", "(so)", "2.5", " ", "\t", "_", "then", "in short", "**bold.**"]  # fmt: skip
    for _ in range(1500):
        yield rng.choice(["", " "]).join(rng.choice(pieces) for _ in range(rng.randrange(12)))
    for row in evaluation_prompts(150):
        yield row["output"]
        yield row["output"] + "\n\n" + row["output"]
        yield '"' + row["output"].upper() + '"'
        yield json.dumps(row)


RULES = "ends_properly lower_case upper_case json quoted said_twice".split()
COUNTS = "word_count sentence_count bullet_count paragraph_count".split()
WORDED = "starts_with ends_with contains_all contains_none".split()


def test_rules(probe):
    seen = {}
    rng = random.Random(1)
    for text in texts():
        questions = [(rule, {}) for rule in RULES]
        questions += [(rule, {"least": (n := rng.randrange(6)), "most": n + rng.randrange(3)}) for rule in COUNTS]
        questions += [(rule, {"words": [rng.choice(["the", "end", "in short", "é", "then", "2.5", "some"])]}) for rule in WORDED]
        for rule, extra in questions:
            naive = expected(rule, text, extra.get("words", ()), extra.get("least", 0), extra.get("most", 10**9))
            assert probe.value("follows", rule=rule, response=text, **extra) == naive, (rule, extra, text)
            seen.setdefault(rule, set()).add(naive)
    assert all(outcomes == {True, False} for outcomes in seen.values()), seen


@pytest.mark.parametrize("n", [1, 2, 4])
def test_repetition(probe, n):
    rng = random.Random(n)
    for _ in range(200):
        text = "".join(rng.choice(["a", "b", " ", "\n", " c ", "é"]) for _ in range(rng.randrange(60)))
        grams = [tuple(words(text)[i : i + n]) for i in range(len(words(text)) - n + 1)]
        naive = 1 - len(set(grams)) / len(grams) if grams else 0
        assert probe.value("repetition", text=text, n=n) == pytest.approx(naive, abs=1e-15)
