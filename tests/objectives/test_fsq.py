"""FSQ: rounding to a grid, its gradient and its prior."""

import jax
import numpy as np
import pytest
import scipy.stats

import aejax
from aejax import objectives
from aejax.objectives import fsq
from tests.objectives.common import Case, close, run


def test_it_rounds_to_a_grid_of_the_levels():
    z = np.linspace(-12, 12, 60_001, dtype=np.float32)
    levels = np.array([2, 3, 4, 5, 6, 7, 8, 16, 17, 255, 999, 1000], np.int32)

    def both(levels):
        return jax.vmap(jax.value_and_grad(fsq.quantize), (0, None))(z, levels)

    values, slopes = run(lambda n: jax.lax.map(both, n), levels)
    for n, got, steep in zip(levels, values, slopes, strict=True):
        unit = n // 2
        grid = np.arange(n) - unit
        np.testing.assert_array_equal(np.unique(np.round(got * unit)), grid)
        close(got * unit, np.round(got * unit), atol=1e-4)
        assert np.abs(got).max() == 1.0 and (np.diff(got) >= 0).all()
        at_zero = got[np.abs(z) < 1e-3]
        assert (at_zero == 0).all() or n % 2 == 0, "an odd grid has a middle"
        # Codes start near 0: at least two values lie there, and a gradient.
        assert (
            len(np.unique(got[np.abs(z) < 2])) > 1 and steep[np.abs(z) < 1].min() > 0.05
        )
        assert (steep[np.abs(z) < 2] > 0).all() and np.isfinite(steep).all()
    with pytest.raises(aejax.InputError, match="1000"):
        objectives.OBJECTIVES["fsq"].check({"levels": 1001}, 8)


def test_dead_dimensions_are_counted():
    case = Case("fsq", levels=5)
    z = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    z[:, 1], z[:, 3:] = 0.01 * z[:, 1], 0.0

    def dead(z):
        bound = case.model._replace(encode=lambda p, b: z)
        return case.loss(case.params, jax.random.key(0), bound)[1]["dead"]

    assert run(dead, z) == 1, "of the three in use"


def test_code_gradient_and_prior():
    case = Case("fsq", levels=4)
    key = jax.random.key(0)
    z = case.model.noise(key, 8)

    def nll(params, encode):
        bound = case.model._replace(encode=encode)
        return case.loss(params, key, bound)[0]

    value, grad = run(jax.value_and_grad(lambda z: nll(case.params, lambda p, b: z)), z)
    code = run(lambda z: fsq.quantize(z, 4) * case.model.latent_mask, z)

    def decoder(code):
        decoded = case.model.decode(case.params, code, case.batch)
        return case.model.likelihood.nll(case.batch, decoded).mean()

    want, at_code = run(jax.value_and_grad(decoder), code)
    close(value, want)
    half = 3 * 1.001 / 2  # of eq. 1, shifted for an even number
    tanh = np.tanh(np.asarray(z, np.float64) + np.arctanh(0.5 / half))
    close(grad, at_code * (1 - tanh**2) * half / 2, atol=1e-6)
    assert np.abs(grad[:, :3]).min() > 0
    for levels in (4, 5):
        draws = run(
            lambda n: fsq.prior(case.model, case.params, key, 5000, None, levels=n),
            levels,
        )
        assert (draws[:, 3:] == 0).all()
        values, often = np.unique(draws[:, :3], return_counts=True)
        close(values, (np.arange(levels) - levels // 2) / (levels // 2))
        assert scipy.stats.chisquare(often).pvalue > 1e-4
