"""WAE-MMD: the distance is the double sum over pairs of codes and prior draws."""

import functools

import jax
import numpy as np
import pytest

from aejax import losses
from tests.objectives.common import Case, close, keys, mean_is, mmd, run


@pytest.mark.parametrize("name", ["rbf", "imq"])
def test_mmd_is_the_double_sum_over_pairs(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 0.5
    ours = jax.jit(functools.partial(losses.mmd, kernel=name))
    got = ours(np.float32(x), np.float32(y), 6.0)
    close(got, mmd(x, y, 6.0, name))
    shuffled = ours(np.float32(x[::-1]), np.float32(y[[2, 0, 1, 4, 3]]), 6.0)
    close(shuffled, got, atol=1e-6)


@pytest.mark.parametrize("name", ["rbf", "imq"])
def test_mmd_is_unbiased(name):
    def draw(key, shift):
        one, two = jax.random.normal(key, (2, 16, 3))
        return losses.mmd(one, two + shift, 6.0, name)

    table = jax.vmap(jax.vmap(draw, (0, None)), (None, 0))
    same, shifted = run(table, keys(2000), np.array([0.0, 1.0]))
    mean_is(same, 0.0)
    assert (same < 0).any(), "unbiased, so below 0 at times"
    assert shifted.mean() > 20 * shifted.std() / np.sqrt(2000)


def test_it_adds_the_mmd_of_the_codes_in_use():
    case, key = Case("wae_mmd", kernel="imq"), jax.random.key(1)

    def samples():
        z = case.model.encode(case.params, case.batch)
        return z, case.model.noise(key, 8)

    z, noise = (a[:, :3].astype(np.float64) for a in run(samples))
    total, metrics = run(lambda: case.loss(case.params, key))
    close(metrics["mmd"], mmd(z, noise, 6.0, "imq"))
    close(total, metrics["nll"] + 10 * metrics["mmd"])
