"""Sentences, words and languages: how near ours are to Punkt, to NLTK's word_tokenize and to langdetect."""

import langdetect
import pytest
from drawn import LANGUAGES, english_texts, responses
from nltk.tokenize.destructive import NLTKWordTokenizer
from support_originals import punkt_sentences


def share(pairs):
    same = [ours == theirs for ours, theirs in pairs]
    return sum(same) / len(same)


def test_sentences(probe):
    """As many as Punkt finds; the texts that differ have abbreviations or names that its model has learned."""
    texts = english_texts()
    counts = share([(len(probe.value("sentences", text=text)), len(punkt_sentences(text))) for text in texts])
    print(f"sentences counted alike in {counts:.1%} of {len(texts)} texts")
    assert counts >= 0.95


@pytest.mark.parametrize("text, expected", [
    ("Dr. Smith met J. Smith. Then he left.", ["Dr. Smith met J. Smith.", "Then he left."]),
    ("1. Socks\n2. Shirts", ["1.", "Socks\n2.", "Shirts"]),
    ("Really?! Yes... and so. It costs 3.5 dollars.", ["Really?!", "Yes... and so.", "It costs 3.5 dollars."]),
    ('He said "Hi." Then (so.) he left', ['He said "Hi."', "Then (so.)", "he left"]),
    ("In the U.S. it is. At 5 p.m. we go. no", ["In the U.S. it is.", "At 5 p.m. we go.", "no"])])
def test_known_sentences(text, expected, probe):
    assert probe.value("sentences", text=text) == expected == punkt_sentences(text)


def test_words(probe):
    """Of the same sentences: every word with a capital letter and no small one, which alone are counted."""
    for text in responses(800, "words"):
        theirs = [w for s in probe.value("sentences", text=text) for w in NLTKWordTokenizer().tokenize(s) if w.isupper()]
        ours = [w for w in probe.value("words", text=text) if w.isupper()]
        assert len(ours) == len(theirs), (text, ours, theirs)


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages(language, probe):
    assert probe.value("language", text=LANGUAGES[language]) == language == langdetect.detect(LANGUAGES[language])


def test_short_and_capital_english(probe):
    """What langdetect takes for another language, CLD2 mostly does not."""
    texts = english_texts()
    for how, least in ((str, 0.95), (str.upper, 0.95), (str.lower, 0.95)):
        found = share([(probe.value("language", text=how(text)), "en") for text in texts])
        print(f"{how.__name__}: {found:.1%} of {len(texts)} English texts are English to us")
        assert found >= least


def test_no_language(probe):
    for text in ("", "12 345", "?!", "😀"):
        assert probe.value("language", text=text) == ""
