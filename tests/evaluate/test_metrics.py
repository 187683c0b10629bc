"""Intervals over seeds, and psnr."""

import math

import numpy as np
import pytest
import scipy.stats

from aejax.evaluate import metrics

RNG = np.random.default_rng(0)


def test_interval_is_student_t_at_95_percent():
    for n in (2, 3, 10):
        values = RNG.normal(2.0, 3.0, n)
        mean, low, high = metrics.interval(list(values))
        want = scipy.stats.t.interval(
            0.95, n - 1, values.mean(), scipy.stats.sem(values)
        )
        np.testing.assert_allclose((low, high), want, rtol=1e-9)
        np.testing.assert_allclose(mean, values.mean(), rtol=1e-12)
    assert metrics.interval([4.0]) == (4.0, None, None)
    assert metrics.interval([4.0, 4.0]) == (4.0, 4.0, 4.0)
    columns = RNG.normal(size=(5, 2, 3))
    ends = np.array(metrics.interval(columns))  # over the first axis
    np.testing.assert_allclose(ends[:, 1, 2], metrics.interval(columns[:, 1, 2]))


def test_a_positive_interval_stays_positive():
    mean, low, high = metrics.interval([8.0, 108.0], positive=True)
    assert mean == 58 and 0 < low < 58 < high
    np.testing.assert_allclose(low * high, 58**2)
    half = scipy.stats.t.ppf(0.975, 1) * 50
    np.testing.assert_allclose(high, 58 * np.exp(half / 58))
    for mixed in ([0.0, 1.0, 2.0], [-1.0, 3.0]):
        assert metrics.interval(mixed, positive=True) == metrics.interval(mixed)


def test_a_narrow_interval_is_the_same_on_a_log_scale():
    values = 5 + 1e-4 * RNG.normal(size=6)
    plain, log = metrics.interval(values), metrics.interval(values, positive=True)
    np.testing.assert_allclose(np.subtract(log, 5), np.subtract(plain, 5), rtol=1e-3)


@pytest.mark.parametrize(("spread", "least"), [(0.3, 0.94), (1.0, 0.93)])
def test_a_positive_interval_holds_the_mean(spread, least):
    """Of 2 draws from a log-normal: as often as it should, where the plain does not."""
    draws = np.exp(spread * np.random.default_rng(8).normal(size=(2, 20_000)))
    mean, shares = np.exp(spread**2 / 2), []
    for positive in (True, False):
        _, low, high = map(np.array, metrics.interval(draws, positive))
        shares.append(((low < mean) & (mean < high)).mean())
    assert shares[0] > least and shares[0] > shares[1]
    assert (low < 0).mean() > 0.7, "the plain one is mostly of no use"


def test_psnr_is_ten_decibels_per_tenth_of_the_mse():
    assert metrics.psnr(1.0, 1.0) == 0.0
    assert metrics.psnr(0.01, 1.0) == pytest.approx(20.0)
    assert metrics.psnr(0.01, 10.0) == pytest.approx(40.0)
    assert metrics.psnr(0.0, 1.0) == math.inf
