"""TOFU's measures and AlpacaEval's win rate against straightforward numpy and scipy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from support_probe import numbers

SETS = {"retain": 5, "real_authors": 3, "world_facts": 3, "forget": 5}
MEANS = ("geometric", "arithmetic")


def random_items(rng, count, wrong, scale=2.0):
    return [
        {
            "answer": rng.exponential(scale),
            "paraphrased": rng.exponential(scale),
            "wrong": list(rng.exponential(scale, size=wrong)),
        }
        for _ in range(count)
    ]


def ratios(items, mean):
    """P(wrong) / P(paraphrase), as the protocol states both definitions."""
    paraphrased = np.exp(-np.array([i["paraphrased"] for i in items]))
    wrong = np.array([i["wrong"] for i in items])
    averaged = np.exp(-wrong.mean(-1)) if mean == "geometric" else np.exp(-wrong).mean(-1)
    return averaged / paraphrased


def set_scores(name, items, rouge, mean):
    p_true = np.exp(-np.array([i["answer"] for i in items]))
    p_wrong = np.exp(-np.array([i["wrong"] for i in items]))
    real = name in ("real_authors", "world_facts")
    probability = p_true / (p_true + p_wrong.sum(-1)) if real else p_true
    ratio = ratios(items, mean)
    truth = np.minimum(ratio, 1 / ratio) if name == "forget" else np.maximum(0, 1 - ratio)
    return [np.mean(rouge), probability.mean(), truth.mean()]


@pytest.mark.parametrize("mean, name, seed", list(itertools.product(MEANS, SETS, range(3))))
def test_sets(probe, mean, name, seed):
    rng = np.random.default_rng(seed)
    items = random_items(rng, int(rng.integers(1, 300)), SETS[name], rng.choice([0.1, 2, 50]))
    rouge = list(rng.random(len(items)))
    assert probe.value("truth_ratios", items=items, mean=mean) == pytest.approx(list(ratios(items, mean)), rel=1e-11)
    ours = probe.value("tofu_set", set=name, items=items, rouge=rouge, mean=mean)
    assert ours == pytest.approx(set_scores(name, items, rouge, mean), rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("seed", range(5))
def test_utility_is_the_harmonic_mean_of_nine(probe, seed):
    rng = np.random.default_rng(seed)
    nine = rng.random(9)
    if seed == 4:
        nine[3] = 0
    ours = probe.value("utility", retain=list(nine[:3]), real_authors=list(nine[3:6]), world_facts=list(nine[6:]))
    assert ours == pytest.approx(float(stats.hmean(nine)), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_forget_quality(probe, seed):
    rng = np.random.default_rng(seed)
    unlearned, retained = random_items(rng, 300, 5), random_items(rng, 300, 5, 2.0 + 0.2 * seed)
    for mean in MEANS:
        first, second = ratios(unlearned, mean), ratios(retained, mean)
        ours = probe.value("forget_quality", first=numbers(first), second=numbers(second))
        assert ours == pytest.approx(float(stats.ks_2samp(first, second).pvalue), rel=1e-9)


def test_a_file_compared_with_itself_is_refused(probe):
    assert "same" in probe.ask("forget_quality", first=[0.1, 0.2], second=[0.1, 0.2])["error"]


@pytest.mark.parametrize("seed", range(5))
def test_win_rate(probe, seed):
    """alpaca_eval: draws are 1.5 or 0, what is no preference is dropped, then mean and standard error of p - 1."""
    rng = np.random.default_rng(seed)
    preferences = rng.choice([1.0, 2.0, 1.5, 0.0, np.nan, 1.2, 1.97, 3.0], size=805)
    ours = probe.value("win_rate", preferences=numbers(preferences))
    preferences = np.where(preferences == 0, 1.5, preferences)
    kept = preferences[(preferences >= 1) & (preferences <= 2)] - 1
    assert ours["win_rate"] == pytest.approx(kept.mean() * 100, rel=1e-12)
    assert ours["standard_error"] == pytest.approx(stats.sem(kept) * 100, rel=1e-12)
    assert (ours["n"], ours["missing"]) == (len(kept), 805 - len(kept))
    assert (ours["wins"], ours["losses"]) == ((kept > 0.5).sum(), (kept < 0.5).sum())
    assert ours["draws"] == (kept == 0.5).sum()
