"""What an auditor computes of an unlearned model, against the code that open-unlearning computes it with (src/evals/metrics:
memorization.py, mia/min_k.py, mia/min_k_plus_plus.py, mia/zlib.py, mia/utils.py, privacy.py), written down with numpy, zlib and
scikit-learn, and DeLong's standard error against his definition."""

import zlib

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from open_unlearning import extraction_strength, lowest
from support_probe import numbers


def exact_memorization(best):
    return float(np.mean(best[:-1]))


@pytest.mark.parametrize("seed", range(30))
def test_memorisation(probe, seed):
    rng = np.random.default_rng(seed)
    best = (rng.random(rng.integers(2, 40)) < rng.choice([0.2, 0.8, 0.97])).astype(int).tolist()
    assert probe.value("exact_memorization", best=best) == pytest.approx(exact_memorization(best), rel=1e-12)
    assert probe.value("extraction_strength", best=best) == pytest.approx(extraction_strength(best), rel=1e-12)


def test_memorisation_at_its_ends(probe):
    for best, extracted in (([1, 1, 1, 0], 1), ([0, 0, 0, 1], 1 / 3), ([1, 0, 1, 1], 1 / 3), ([0, 0, 1, 1], 1 / 3),
                            ([0, 1, 1, 0], 2 / 3), ([1, 0], 1), ([0, 1], 1)):  # fmt: skip
        assert probe.value("extraction_strength", best=best) == pytest.approx(extracted), best
        assert extraction_strength(best) == pytest.approx(extracted)
    for best in ([1], []):  # nothing is left without the end
        assert probe.value("exact_memorization", best=best) is None
        assert probe.value("extraction_strength", best=best) is None


@pytest.mark.parametrize("seed", range(30))
def test_scores(probe, seed):
    rng = np.random.default_rng(seed)
    length, share = rng.integers(2, 60), rng.choice([0.2, 0.4, 1.0])
    log_probs = -rng.exponential(2, length).astype(np.float32)
    means = -rng.exponential(3, length).astype(np.float32)
    variances = rng.choice([0, 1e-8, 0.5, 4], length).astype(np.float32)
    given = {"log_probs": log_probs.tolist(), "share": share}
    plain, inner = log_probs.astype(float)[:-1], slice(0, -1)
    assert probe.value("min_k", **given) == pytest.approx(lowest(plain, share), rel=1e-12)
    standard = (plain - means.astype(float)[inner]) / np.sqrt(np.maximum(variances.astype(float)[inner], 1e-6))
    ours = probe.value("min_k_plus_plus", **given, means=means.tolist(), variances=variances.tolist())
    assert ours == pytest.approx(lowest(standard, share), rel=1e-12)
    assert probe.value("min_k", log_probs=[-1.0], share=0.4) is None


@pytest.mark.parametrize("text", ["", "a", "Clara Ashford lives in Amberport.", "π ≈ 3.14159 " * 40, "\x00\n\t", "日本語のテキスト"])
def test_zlib(probe, text):
    assert probe.value("zlib", loss=1.75, text=text) == pytest.approx(1.75 / len(zlib.compress(text.encode())), rel=1e-12)


def delong(members, others):
    """DeLong et al. 1988, equations 3 to 5, of one curve."""
    wins = lambda x, y: (x < y) + 0.5 * (x == y)
    first = np.array([np.mean([wins(x, y) for y in others]) for x in members])
    second = np.array([np.mean([wins(x, y) for x in members]) for y in others])
    return np.sqrt(first.var(ddof=1) / len(members) + second.var(ddof=1) / len(others))


@pytest.mark.parametrize("seed", range(20))
def test_auc(probe, seed):
    rng = np.random.default_rng(seed)
    members, others = rng.normal(0, 1, rng.integers(2, 60)), rng.normal(0.5, 1, rng.integers(2, 60))
    if seed % 2:
        members, others = members.round(), others.round()  # with ties
    value, error = probe.value("auc", forget=numbers(members), holdout=numbers(others))
    labels = [0] * len(members) + [1] * len(others)
    assert value == pytest.approx(roc_auc_score(labels, np.concatenate([members, others])), rel=1e-12)
    assert error == pytest.approx(delong(members, others), rel=1e-10, abs=1e-15)
    reference = rng.random() * 0.9
    leak = ((1 - value) - (1 - reference)) / (1 - reference) * 100
    assert probe.value("privleak", auc=value, reference=reference) == pytest.approx(leak, rel=1e-9)


def test_what_cannot_be_compared_is_refused(probe):
    assert "forget set" in probe.ask("auc", forget=[], holdout=[1.0])["error"]
    assert "holdout set" in probe.ask("auc", forget=[1.0], holdout=[None])["error"]
