"""`cmc map`: the map it writes and the coverage it prints, of the vocabulary and of texts, against tokenizers and a count."""

import json
import re

import pytest
import support_pipeline as support
from support_pipeline import cmc
from support_truth import published

TEXTS = ["The quick brown fox.", "café — naïve 🎉", "", " She was born in 1983; the book's name is unknown."]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("map")
    support.make_world(root)
    return root


def printed(text):
    """{kind: (count, percent)} of the vocabulary, and the same of the texts' tokens."""
    lines = re.findall(r"^(exact|inexact|unmapped) +(\d+) +([\d.]+) %( of the texts' tokens)?$", text, re.M)
    return ({kind: (int(count), float(share)) for kind, count, share, of in lines if not of},
            {kind: (int(count), float(share)) for kind, count, share, of in lines if of})


@pytest.mark.parametrize("method", ["pm_mined", "exact_only", "one_to_many", "min_ed", "prefix_sum"])
def test_coverage_of_vocabulary_and_texts(world, method, tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    done = cmc("map", "--from", world / "other", "--to", world / "small", "--method", method, "--texts", texts, "--json", tmp_path / "map.json")
    made = json.loads((tmp_path / "map.json").read_text())
    tokens = [token for text in TEXTS for token in published.load_tokenizer(world / "other").encode(text, add_special_tokens=False).ids]
    of_vocabulary, of_texts = printed(done.stdout)
    for kind in ("exact", "inexact", "unmapped"):
        count, used = made["match"].count(kind), sum(made["match"][token] == kind for token in tokens)
        assert of_vocabulary[kind] == (count, pytest.approx(100 * count / len(made["match"]), abs=0.051))
        assert of_texts[kind] == (used, pytest.approx(100 * used / len(tokens), abs=0.051))
    assert ("candidates" in made) == (method in ("one_to_many", "prefix_sum"))


def test_texts_that_are_none(world, tmp_path):
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "a"}\n{"prompt": "b"}\n')
    error = cmc("map", "--from", world / "other", "--to", world / "small", "--texts", texts, expect=65).stderr
    assert "texts.jsonl" in error and "text" in error
    assert "missing.jsonl" in cmc("map", "--from", world / "other", "--to", world / "small", "--texts", tmp_path / "missing.jsonl", expect=66).stderr
