"""Every rule against the authors' program (lm_eval) and if_verifiable's, strict and loose. Where these ask langdetect or NLTK's
Punkt, they are given our languages and sentences first, so that the rule alone is compared, then their own."""

import random
import re

import pytest
from drawn import item, kwargs_of, made_to_follow, responses
from support_originals import IDS, no_language, other_verdicts, use, verdicts

PAIRS = 250  # of each rule
# Kinds that are not told by rule alone, and how many verdicts of 100 may differ from those of the authors' own tools.
BY_MODEL = {"language:response_language": 4, "length_constraints:number_sentences": 3, "change_case:capital_word_frequency": 1,
            "change_case:english_capital": 8, "change_case:english_lowercase": 5}


def pairs(identity, seed):
    rng = random.Random(seed + identity)
    for response in responses(PAIRS, identity + seed):
        response = made_to_follow(rng, identity, response)
        yield item(identity, kwargs_of(rng, identity, response)), response


def ours(probe, one, response):
    return probe.value("verdicts", item=one, responses=[response])[0]


@pytest.fixture
def our_tools(probe):
    use(lambda text: probe.value("sentences", text=text), no_language(lambda text: probe.value("language", text=text)))
    yield
    use()


def test_ids(probe):
    assert probe.value("ids") == IDS
    assert len(IDS) == 25


@pytest.mark.parametrize("identity", IDS)
def test_rule(identity, probe, our_tools):
    seen = set()
    for one, response in pairs(identity, "rule"):
        expected = verdicts(one, response)
        assert ours(probe, one, response) == expected, (one, response)
        stripped = response.strip()
        if stripped and "think>" not in stripped:
            assert other_verdicts(one, stripped) == ours(probe, one, stripped), (one, stripped)
        seen.add(tuple(expected[0]))
    assert {strict for strict, _ in seen} == {True, False}, "drawn responses follow it and break it"
    assert all(loose or not strict for strict, loose in seen)


@pytest.mark.parametrize("identity", BY_MODEL)
def test_kinds_that_are_told_by_a_model(identity, probe):
    use()
    differ = sum(ours(probe, one, response)[0][0] != verdicts(one, response)[0][0] for one, response in pairs(identity, "model"))
    print(f"{identity}: {differ} of {PAIRS} strict verdicts differ")
    assert 100 * differ <= BY_MODEL[identity] * PAIRS


def test_several_instructions_of_one_prompt(probe, our_tools):
    rng = random.Random(5)
    for response in responses(100, "several"):
        ids = rng.sample(IDS, 3)
        one = {"key": 1, "prompt": "Do it.", "instruction_id_list": ids, "kwargs": [kwargs_of(rng, identity, response) for identity in ids]}
        assert ours(probe, one, response) == verdicts(one, response), (one, response)


@pytest.mark.parametrize("response", [
    r'"\\ud800"', r'{"a": "\"\\ud800\" x"}', r'"\\\ud800"', r'"\\\\ud800"', r'"\ud800"', r'"\ud800\udc00 \uDFFF\uDFFF"', r'"\\\"', r'"\ud80"', r'"\\ud80"',
    r'"\n\ud800\\"', r'{"\\": NaN, "-Infinity": -Infinity}', "[-NaN]", "[1e999, -0, 1E+400]", "[01]", "1" * 400])
def test_json_is_what_pythons_json_reads(response, probe):
    one = item("detectable_format:json_format", {})
    assert ours(probe, one, response) == verdicts(one, response)


@pytest.mark.parametrize("response", ["", " ", "\n\n", "\u2003\u0085"])
def test_nothing_follows_nothing(response, probe):
    for identity in IDS:
        one = item(identity, kwargs_of(random.Random(1), identity, "The end."))
        assert ours(probe, one, response) == [[False, False]] == verdicts(one, response)


def test_letters_that_are_none(probe):
    """The authors' program draws a letter in place of # and !, which their data ask for; we count what is asked for."""
    one = item("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "at least"})
    assert probe.value("verdicts", item=one, responses=["#a", "#a #b"]) == [[[False, False]], [[True, True]]]


@pytest.mark.parametrize("kwargs, named", [
    ({}, "num_words is missing|relation is missing"), ({"num_words": 3}, "relation is missing"),
    ({"num_words": "3", "relation": "at least"}, "num_words is no number"), ({"num_words": 2.5, "relation": "at least"}, "num_words is 2.5"),
    ({"num_words": -1, "relation": "at least"}, "num_words is negative"), ({"num_words": 3, "relation": "at most"}, 'relation is "at most"'),
    ({"num_words": True, "relation": "at least"}, "num_words is of type boolean"), ({"num_words": 3, "relation": "at least", "letter": "x"}, "letter is nothing that")])
def test_bad_kwargs(kwargs, named, probe):
    answer = probe.ask("verdicts", item=item("length_constraints:number_words", kwargs), responses=["x"])
    assert answer["code"] == 65 and "input_data.jsonl:1: kwargs[0]" in answer["error"]
    assert re.search(named.replace(" is", ":? is").replace("kwargs[0].", ""), answer["error"]), answer


@pytest.mark.parametrize("one, named", [
    (item("keywords:no_such", {}), "keywords:existence"), (item("keywords:existence", {"keywords": ["("]}), "does not compile"),
    (item("keywords:existence", {"keywords": [r"\Qx\E"]}), "\\Q"), (item("keywords:existence", {"keywords": "x"}), "no list of texts"),
    (item("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}), "one character"),
    (item("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "x"}), "nth_paragraph"),
    (item("startend:end_checker", {"end_phrase": " "}), "end_phrase")])
def test_bad_instructions(one, named, probe):
    answer = probe.ask("verdicts", item=one, responses=["x"])
    assert answer["code"] == 65 and named in answer["error"] and "input_data.jsonl:1" in answer["error"], answer


def test_null_is_absent(probe):
    kwargs = {"num_words": 3.0, "relation": "at least", "keywords": None, "letter": None}
    assert probe.value("verdicts", item=item("length_constraints:number_words", kwargs), responses=["a b c"]) == [[[True, True]]]
