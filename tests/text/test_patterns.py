"""Properties of regular expressions on every code point, against the tokenizers library, live. CMC_SCRIPTS=all: every script."""
import json
import os

import pytest
from corpora import failure, probe
from newer_unicode import BLOCK, CATEGORIES, OTHERS, POINTS, SCRIPTS, members
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

COMMON = ("Han Hiragana Katakana Hangul Latin Cyrillic Greek Arabic Hebrew Thai Devanagari Bengali Tamil Armenian Georgian "
          "Common Inherited Kawi").split()
TRIED = SCRIPTS if os.environ.get("CMC_SCRIPTS") == "all" else COMMON
NAMED = ["Letter", "uppercase letter", "Decimal_Number", "Math-Symbol", "punct", "alnum", "Hani", "hira", "Any", "Cn", "C", "digit"]
SETS = [r"\s", r"\S", r"\w", r"\W", r"\d", r"\D", r"\h", r"[\s\S]", r"[\P{L}]", r"[^\p{L}\p{N}\s]", r"[\p{^S}]", r"[\P{Nd}a]",
        r"[[:alpha:]]", r"[[:punct:]]", r"[[:digit:]_]", r"[^[:space:]]", r"[\p{Han}\p{Hiragana}]", r"\P{Katakana}", r"[\p{M}\p{Cf}]",
        r"[\D]", r"\p{^Greek}", r"[\p{P}\p{S}]", r"[^\s\p{L}\p{N}]"]


def ours(folder, pattern):
    """Code points that our reader matches."""
    tokenizer = Tokenizer(models.BPE({"a": 0}, [], unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(f"{pattern}+"), "isolated")
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    blocks = [POINTS[at:at + BLOCK] for at in range(0, len(POINTS), BLOCK)]
    answers = probe("matches", "--tokenizer", folder / "tokenizer.json", lines=[{"text": "".join(map(chr, b))} for b in blocks])
    return {point for block, answer in zip(blocks, answers) for begin, end in answer["spans"] for point in block[begin:end]}


@pytest.mark.parametrize("part", range(8))
def test_every_code_point(part, tmp_path):
    patterns = [f"\\p{{{name}}}" for name in [*CATEGORIES, *TRIED, *OTHERS, *NAMED]] + SETS
    for pattern in patterns[part::8]:
        theirs = members(pattern)
        assert theirs is not None, pattern
        wrong = theirs ^ ours(tmp_path, pattern)
        assert not wrong, (pattern, len(wrong), [hex(point) for point in sorted(wrong)[:10]])


@pytest.mark.parametrize("pattern", [r"\p{Nonsense}", r"[\P{Han}]", r"[\W]", "[a-z&&[aeiou]]"])
def test_what_cannot_be_told_is_refused(pattern, tmp_path):
    content = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
               "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    code, message = failure("encode", "--tokenizer", tmp_path)
    assert code == 65 and "pattern.Regex" in message and pattern in message
