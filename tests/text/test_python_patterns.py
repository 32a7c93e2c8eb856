"""PythonPattern and the case of letters against Python itself, live."""
import re
import sys
import unicodedata

import pytest
from corpora import probe

POINTS = [point for point in range(1, sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
KNOWN = {point for point in POINTS if unicodedata.category(chr(point)) != "Cn"}  # the libraries' tables may be newer
CHANGED = [0x10FC, 0xA7F2, 0xA7F3, 0xA7F4, 0xAB69]  # Other_Lowercase since Unicode 15.1 or a little before
PATTERNS = ["a", "a|ab", "x*", "|x", "", "^", "$", "^$", "(?m)^", "(?m)$", r"(?m)^\s*\*[^\*].*$", r"\b", r"\B", r"\bthe\b", r"\w+", r"\W+", r"\s?\*\*\*\s?",
            r"\[.*?\]", "(a)(b)?", r"(?P<q>['\"]).*?(?P=q)", r"(a|b)\1", r"[\w-]+", r"[^\s]+", r"[[a]", r"[]a]", r"[^]a]", "[[:alpha:]]", "a{,2}", "a{2}", "a{2,}", "a{",
            "a{x}", "{", "b{,}", "}", "a{,}", r"\d+\Z", r"\Aa", "(?i:A)b", "(?s).+", "(?=a)", "(?<!a)b", "(?<=a)b", r"\u00e9", r"\x41", r"\U0001f600", r"\v", r"[\b]", r"\.",
            r"\-", "a++b", "(?>a+)b", "(?#x)a", "[a-zé]+", "k", "ß", "ſ", "σ", "σ|ς", "K", r"\t", r"a\
b", "a?", "(?:)", "[a&&b]", "[a||b]"]
TEXTS = ["", "a", "ab aab axb", "The cat, the\nhat\n", "\n\n", "aa bb\n* one\n*two\n**\n - x", "x***y *** z\n***", "[a][b\n]", "'q' \"r\"", "été É", "a{ a{x} {,} }", "K k K ſ s S", "ΣσςΣ",
         "ß ẞ ss", "😀a\x0b\x1c\x85\u2028", "a-b_c", "x\x08", "aaa b aaab", "[[:alpha:]]", "١٢ ²½", "a&&b||", "a\r\nb\r", "Ab aB AB"]
REFUSED = ["(", "[", "*", r"\Qa\E", r"\h", r"\p{L}", "(?x)a", "(?a)a", "(*ACCEPT)", r"\K", r"[\W]", "a\\", r"\u12", "(?P>x)", "(?R)", r"\g1", r"\N", r"\R", r"\G"]


def asked(pattern, text, ignore_case):
    flags = re.IGNORECASE if ignore_case else 0
    compiled = re.compile(pattern, flags)
    sub = compiled.sub(lambda match: f"<{match.group(1) or ''}>" if compiled.groups else "<>", text)
    return {"spans": [list(match.span()) for match in compiled.finditer(text)], "sub": sub,
            "split": None if compiled.groups else compiled.split(text)}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("ignore_case", [False, True])
def test_matches(ignore_case):
    lines = [{"pattern": pattern, "text": text, "ignore_case": ignore_case} for pattern in PATTERNS for text in TEXTS
             if text or pattern != r"\B"]  # before Python 3.14 an empty text has none
    for line, ours in zip(lines, probe("python", lines=lines)):
        theirs = asked(**line)
        if theirs["split"] is None:
            ours.pop("split", None), theirs.pop("split")
        assert ours == theirs, line


@pytest.mark.parametrize("pattern", [r"\w", r"\s", r"\d", r"\W", r"\S", r"\D", r"\b", r"[\w]", r"[^\w]", r"[\s]", r"[^\d\s]", "."])
def test_every_code_point(pattern):
    """Each beside a space, so that \\b is asked of it alone."""
    text = " ".join(map(chr, POINTS))
    theirs = {begin for begin, _ in asked(pattern, text, False)["spans"]}
    ours = {begin for begin, _ in probe("python", lines=[{"pattern": pattern, "text": chunk} for chunk in [text]])[0]["spans"]}
    wrong = {at for at in ours ^ theirs if ord(text[at]) in KNOWN and (at == 0 or ord(text[at - 1]) in KNOWN)}
    assert not wrong, [hex(ord(text[at])) for at in sorted(wrong)[:10]]


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_refused(pattern):
    assert "pattern" in probe("python", lines=[{"pattern": pattern, "text": "a"}])[0]["error"]


def test_case():
    """Of letters whose case Unicode changed later (U+10FC and some more) the Python at hand may know less."""
    texts = [chr(point) for point in sorted(KNOWN)] + TEXTS + ["ΟΔΟΣ ΣΟΦΟΣ.", "Σ", "ΑΣ'Σ", "Α.Σ.", "AΣ\u0301", "İI", "ǅ", "ABC1", "Abc", "1", "ªB"]
    expected = [{"lower": text.lower(), "is_upper": text.isupper(), "is_lower": text.islower()} for text in texts]
    wrong = [hex(ord(text[0])) for text, ours, theirs in zip(texts, probe("python", lines=[{"text": text} for text in texts]), expected) if ours != theirs]
    assert set(wrong) <= {hex(point) for point in CHANGED}, wrong
