"""Nested dropout: the cut is a truncated geometric."""

import jax
import numpy as np
import scipy.stats

from tests.objectives.common import Case, run, spied


def test_it_cuts_at_a_truncated_geometric():
    case, n = Case("nested_dropout", k=6, z=9), 20_000
    z = np.ones((n, 9), np.float32) * case.model.latent_mask
    rates = np.array([1e-4, 0.1, 0.5, 0.99], np.float32)
    spy = spied(case, n=n)
    kept = run(lambda r: jax.lax.map(lambda r: spy(z, {"rate": r}), r), rates)
    for rate, got in zip(rates.astype(np.float64), kept, strict=True):
        last = got.sum(1).astype(int)
        np.testing.assert_array_equal(got, np.arange(9)[None] < last[:, None])
        assert last.min() == 1 and last.max() <= 6
        pmf = (1 - rate) ** np.arange(6) * rate
        want = n * pmf / pmf.sum()
        often = np.bincount(last, minlength=7)[1:]
        few = want < 5  # one cell together
        often, want = (
            np.append(a[~few], a[few].sum())[: None if few.any() else -1]
            for a in (often, want)
        )
        if want[-1] < 1e-3:
            often, want = often[:-1], want[:-1] * n / want[:-1].sum()
        assert scipy.stats.chisquare(often, want).pvalue > 1e-4
