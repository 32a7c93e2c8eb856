"""KS test and bootstrap against scipy and numpy, Sinkhorn divergence against geomloss."""

import numpy as np
import pytest
import torch
from geomloss import SamplesLoss
from scipy import stats

from support_probe import numbers


def check_ks(probe, first, second, rel=1e-9):
    expected = stats.ks_2samp(first, second)
    ours = probe.value("ks", first=numbers(first), second=numbers(second))
    assert ours["statistic"] == pytest.approx(float(expected.statistic), rel=1e-12, abs=1e-15)
    assert ours["p"] == pytest.approx(float(expected.pvalue), rel=rel, abs=1e-300), (len(first), len(second))
    return ours


@pytest.mark.parametrize("seed", range(6))
def test_ks_random_samples(probe, seed):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        n, m = rng.integers(1, 60, size=2)
        if rng.random() < 0.3:
            m = n
        shift, step = rng.choice([0, 0.3, 2, 10]), rng.choice([0, 0.1, 1])
        first, second = rng.normal(size=n), rng.normal(size=m) + shift
        if step:  # ties, within and between
            first, second = np.round(first / step) * step, np.round(second / step) * step
        check_ks(probe, first, second)


@pytest.mark.parametrize("sizes", [(300, 300), (300, 299), (400, 300), (40, 40), (1, 1), (1, 50), (97, 1000), (3000, 3000), (5000, 17)])
def test_ks_sizes(probe, sizes):
    rng = np.random.default_rng(sum(sizes))
    for shift in (0, 0.05, 0.5, 5):
        assert check_ks(probe, rng.normal(size=sizes[0]), rng.normal(size=sizes[1]) + shift)["exact"]


@pytest.mark.parametrize("sizes", [(10001, 10001), (10001, 5), (12000, 100), (20000, 300), (15000, 12000), (10001, 1)])
def test_ks_asymptotic_above_ten_thousand(probe, sizes):
    rng = np.random.default_rng(sum(sizes))
    for shift in (0, 0.01, 0.02, 0.05, 0.3, 5):
        assert not check_ks(probe, rng.normal(size=sizes[0]), rng.normal(size=sizes[1]) + shift, rel=1e-7)["exact"]


@pytest.mark.filterwarnings("ignore:ks_2samp")
def test_ks_every_distance(probe):
    """Equal sizes, each possible distance: where rounding carries the exact value above 1 scipy falls back, so do we."""
    for n in [*range(1, 25), 300]:
        for h in range(0, n + 1, max(1, n // 25)):
            check_ks(probe, np.arange(n), np.concatenate([np.arange(n - h) + h, np.arange(h) + n + 5]))


def test_ks_extreme_values(probe):
    """The largest and the smallest doubles."""
    check_ks(probe, [1e308, -1e308, 0], [1.7e308, 5e-324])


def test_kolmogorov_distribution(probe):
    """Every branch: small and large n, centre and tail."""
    for n in (1, 2, 3, 10, 50, 139, 140, 141, 500, 5000, 99999, 100001, 1000000):
        for z in (0.05, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.2, 1.48, 1.49, 1.9, 2.1, 4, 10):
            d = z / np.sqrt(n)
            ours = probe.value("kstwo", n=n, d=d)
            assert ours == pytest.approx(float(stats.kstwo.sf(d, n)), rel=1e-6, abs=1e-250), (n, z)


def geomloss(x, y, **settings):
    settings = {"blur": 0.01, **settings}
    return SamplesLoss("sinkhorn", p=2, **settings)(torch.tensor(x), torch.tensor(y)).item()


def check_sinkhorn(probe, x, y, **settings):
    ours = probe.value("sinkhorn", x=numbers(x.ravel()), y=numbers(y.ravel()), dimension=x.shape[1], **settings)
    assert ours == pytest.approx(geomloss(x, y, **settings), rel=1e-5, abs=1e-12), (x.shape, y.shape, settings)


@pytest.mark.parametrize("dimension", [1, 2, 5, 100])
@pytest.mark.parametrize("spread", [0.003, 0.1, 1, 30])
def test_sinkhorn_random_clouds(probe, dimension, spread):
    rng = np.random.default_rng(dimension)
    for n, m in ((1, 1), (1, 7), (20, 20), (33, 50)):
        x, y = rng.normal(size=(n, dimension)) * spread, rng.normal(size=(m, dimension)) * spread + spread / 3
        check_sinkhorn(probe, x, y)


@pytest.mark.parametrize("settings", [{"blur": 0.05}, {"scaling": 0.9}, {"blur": 1.0, "scaling": 0.7}])
def test_sinkhorn_settings(probe, settings):
    rng = np.random.default_rng(0)
    check_sinkhorn(probe, rng.normal(size=(15, 3)), rng.normal(size=(12, 3)), **settings)


def test_sinkhorn_of_logit_shifts(probe):
    """The protocol's sizes: shifts of 100 tokens over 200 steps; repeated points too."""
    rng = np.random.default_rng(1)
    reference = rng.standard_t(3, size=(200, 100))
    check_sinkhorn(probe, reference, reference + 0.2 * rng.standard_t(3, size=(200, 100)))
    check_sinkhorn(probe, np.repeat(reference[:20], 2, axis=0), reference[:30])


def splitmix(seed):
    mask = 2**64 - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def resampled(values, seed, resamples):
    draws = splitmix(seed)
    return np.array([np.mean([values[next(draws) % len(values)] for _ in values]) for _ in range(resamples)])


def test_mean_and_standard_error(probe):
    rng = np.random.default_rng(0)
    for n in (2, 3, 50, 1000):
        values = rng.lognormal(size=n, sigma=3)
        mean, error = probe.value("mean", values=numbers(values))
        assert mean == pytest.approx(values.mean(), rel=1e-13)
        assert error == pytest.approx(stats.sem(values), rel=1e-12)


def test_bootstrap_is_the_percentile_interval(probe):
    values = np.random.default_rng(3).gamma(2, size=40)
    for seed, level in ((0, 0.95), (7, 0.9)):
        means = resampled(values, seed, 500)
        expected = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        ours = probe.value("bootstrap", values=numbers(values), seed=seed, level=level, resamples=500)
        assert ours == pytest.approx(list(expected), rel=1e-12)


def test_bootstrap_agrees_with_scipy(probe):
    """Other random numbers: equal within the Monte Carlo error of 20,000 resamples."""
    values = np.random.default_rng(4).gamma(2, size=60)
    ours = probe.value("bootstrap", values=numbers(values), resamples=20000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=0).confidence_interval
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.05 * stats.sem(values))


def test_ratio_of_sums(probe):
    """Against the formula in numpy, and against what it says: the spread over samples of clusters drawn from one population."""
    rng = np.random.default_rng(8)

    def draw(count):
        asked = rng.integers(1, 4, size=count)
        return rng.binomial(asked, rng.choice([0.1, 0.9], size=count)), asked  # clusters are alike inside

    values, errors = [], []
    for _ in range(400):
        followed, asked = draw(120)
        value, error = probe.value("ratio", numerators=numbers(followed), denominators=numbers(asked))
        assert value == pytest.approx(followed.sum() / asked.sum(), rel=1e-13)
        residuals = followed - value * asked
        assert error == pytest.approx(np.sqrt(120 / 119 * (residuals**2).sum()) / asked.sum(), rel=1e-10)
        values.append(value), errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)
    for numerators, denominators in (([1], [1, 2]), ([0, 0], [0, 0]), ([], [])):
        assert "error" in probe.ask("ratio", numerators=numerators, denominators=denominators)


def test_paired_bootstrap(probe):
    rng = np.random.default_rng(5)
    for shift in (0, 0.1, 0.3):
        first = rng.normal(size=30)
        second = first + 0.5 * rng.normal(size=30) - shift
        means = resampled(first - second, 11, 400)
        ours = probe.value("paired", first=numbers(first), second=numbers(second), seed=11, resamples=400)
        assert ours["difference"] == pytest.approx((first - second).mean(), rel=1e-12)
        assert ours["interval"] == pytest.approx(list(np.quantile(means, [0.025, 0.975])), rel=1e-12)
        assert ours["p"] == pytest.approx(min(1, 2 * min((means <= 0).mean(), (means >= 0).mean())))
