"""Properties of regular expressions on every code point, against the tokenizers library, live. CMC_SCRIPTS=all: every script."""
import json
import os

import pytest
from corpora import failure, probe
from newer_unicode import BLOCK, CATEGORIES, OTHERS, POINTS, SCRIPTS, members
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

COMMON = ("Han Hiragana Katakana Hangul Latin Cyrillic Greek Arabic Hebrew Thai Devanagari Bengali Tamil Armenian Georgian "
          "Common Inherited Kawi").split()
TRIED = SCRIPTS if os.environ.get("CMC_SCRIPTS") == "all" else COMMON
NAMED = ["Letter", "uppercase letter", "Decimal_Number", "Math-Symbol", "punct", "alnum", "Hani", "hira", "Any", "Cn", "C", "digit"]
SETS = [r"\s", r"\S", r"\w", r"\W", r"\d", r"\D", r"\h", r"[\s\S]", r"[\P{L}]", r"[^\p{L}\p{N}\s]", r"[\p{^S}]", r"[\P{Nd}a]",
        r"[[:alpha:]]", r"[[:punct:]]", r"[[:digit:]_]", r"[^[:space:]]", r"[\p{Han}\p{Hiragana}]", r"\P{Katakana}", r"[\p{M}\p{Cf}]",
        r"[\D]", r"\p{^Greek}", r"[\p{P}\p{S}]", r"[^\s\p{L}\p{N}]", "[a-z&&[aeiou]]", r"[\p{L}&&[^\p{Han}]]", r"[^\p{L}&&[^\p{Han}\p{Latin}]]",
        r"[^(\s|[.,!?…。，、।۔،])]", "[a[bc]d]", r"[a[^\p{L}]]", r"[\p{Lu}\p{M}&&[^\p{Cyrillic}]&&[^A-C]]", r"[\u4e00-\u9fff]"]


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


@pytest.mark.parametrize("pattern", [r"\p{Nonsense}", r"[\P{Han}]", r"[\W]"])
def test_what_cannot_be_told_is_refused(pattern, tmp_path):
    content = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
               "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    code, message = failure("encode", "--tokenizer", tmp_path)
    assert code == 65 and "pattern.Regex" in message and pattern in message


EMPTY = [r"(?=(\d{3})+(?!\d))", r"\s*", r"(?<=_)", r"\p{L}*", r"^", r"(?<!\n)^", r"$", r"\b", "x*", r"(?=[A-Z])|_"]
WORDS = ["In 2024 x 1234567", "a_b__c", "", "x", "xx", "\n", "a\n\nb ", "éé日本 AbC", "1", "1000"]


@pytest.mark.parametrize("pattern", EMPTY)
def test_matches_of_nothing(pattern, tmp_path):
    """They cut, and they are replaced."""
    letters = sorted({letter for word in WORDS for letter in word} | {"▁"})
    pairs = [a + b for a in "12034567ab_" for b in "12034567ab_"]  # so that a cut shows
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for normalizer in (None, normalizers.Replace(Regex(pattern), "▁")):
            tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(letters + pairs)}, [tuple(pair) for pair in pairs]))
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior)
            if normalizer:
                tokenizer.normalizer = normalizer
            (tmp_path / "tokenizer.json").write_text(tokenizer.to_str())
            encoded = probe("encode", "--tokenizer", tmp_path / "tokenizer.json", lines=[{"text": word, "added": "none"} for word in WORDS])
            for word, got in zip(WORDS, encoded):
                assert got["ids"] == tokenizer.encode(word).ids, (word, behavior, normalizer)
