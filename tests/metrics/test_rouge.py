"""ROUGE against the rouge_score package, stems against nltk: exact."""

import itertools
import random
import re

import pytest
from nltk.stem.porter import PorterStemmer
from rouge_score import tokenize
from rouge_score.rouge_scorer import RougeScorer

from support_probe import real_json, real_lines

SCORERS = {stem: RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stem) for stem in (True, False)}


def check(probe, reference, candidate):
    for stem, scorer in SCORERS.items():
        ours = probe.value("rouge", reference=reference, candidate=candidate, stem=stem)
        for name, score in scorer.score(reference, candidate).items():
            expected = [score.precision, score.recall, score.fmeasure]
            assert ours[name] == pytest.approx(expected, abs=1e-12, rel=0), (name, stem, reference, candidate)


def test_real_answers(probe):
    """TOFU's answers against their paraphrases, wrong answers and one another."""
    for name in ("forget10_perturbed", "real_authors_perturbed", "world_facts_perturbed"):
        rows = real_lines("tofu", name + ".json")[:60]
        for row, other in zip(rows, rows[1:] + rows[:1]):
            check(probe, row["answer"], row.get("paraphrased_answer", other["answer"]))
            check(probe, row["answer"], row["perturbed_answer"][0])


def test_long_texts(probe):
    rows = real_json("alpaca_eval", "alpaca_eval.json")
    for row, other in list(zip(rows, rows[1:]))[:30]:
        check(probe, row["output"][:1500], other["output"][:1500])
        check(probe, row["instruction"][:1500], row["output"][:1500])


@pytest.mark.parametrize(
    "reference, candidate",
    list(itertools.product(["", " ", "\n", "a", "The cat.", "the the the", "日本語", "İstanbul Kelvin", "a\u0000b"], repeat=2)),
)
def test_edges(probe, reference, candidate):
    check(probe, reference, candidate)


WORDS = "the The run running runs flies died happily İ K é naïve 1990s U.S. don't - — 😀 ß ﬁ Ⅷ ٣ ²".split()


@pytest.mark.parametrize("seed", range(4))
def test_random_texts(probe, seed):
    rng = random.Random(seed)
    text = lambda: rng.choice([" ", "", "\n", "\u00a0"]).join(rng.choice(WORDS) for _ in range(rng.randrange(25)))
    for _ in range(150):
        check(probe, text(), text())


def test_every_character_separates_as_in_python(probe):
    """Each code point between two letters: catches every character whose lower case holds ASCII."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for start in range(0, len(points), 4000):
        text = "".join(f"x{chr(c)}y" for c in points[start : start + 4000])
        assert probe.value("rouge_tokens", text=text, stem=False) == tokenize.tokenize(text, None)


def real_words():
    texts = [row["answer"] + " " + row["question"] for row in real_lines("tofu", "full.json")]
    texts += [row["output"] + " " + row["instruction"] for row in real_json("alpaca_eval", "alpaca_eval.json")]
    texts += [row["output"] for row in real_json("alpaca_gpt4", "alpaca_en_demo.json")]
    return sorted({word for text in texts for word in re.findall("[a-z0-9]+", text.lower())})


def invented_words(rng, count):
    """Stems with every suffix that a rule names, one or two of them: the rules' corners."""
    suffixes = """s es ies sses ss ed eed ied ing ational tional enci anci izer bli abli alli entli eli ousli ization
        ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al
        ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize e l ll y ay""".split()
    stem = lambda: "".join(rng.choice("aeiouybcdlstvwxz1") for _ in range(rng.randrange(7)))
    return ["".join([stem(), rng.choice(suffixes), rng.choice([""] + suffixes)]) for _ in range(count)]


def test_stems(probe):
    stemmer = PorterStemmer()
    short = ["".join(w) for n in (1, 2, 3) for w in itertools.product("aeybs1", repeat=n)]
    words = real_words() + invented_words(random.Random(0), 60000) + short
    words += "sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed".split()
    words = [word for word in words if word]
    assert len(words) > 70000
    ours = probe.value("stems", words=words)
    wrong = [(w, o, stemmer.stem(w)) for w, o in zip(words, ours) if o != stemmer.stem(w)]
    assert not wrong, wrong[:20]
