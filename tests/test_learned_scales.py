"""What a likelihood's data elements share is learned: variance, degrees of freedom."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from aejax import likelihoods
from aejax.training import optimizer

SCALE = 3.0  # four levels
B, T, F = 4, 3, 2


def make(name):
    return likelihoods.LIKELIHOODS[name](SCALE)


def shared(name, variance=1.0):
    """Where what a likelihood's data elements share starts."""
    terms = make(name).shared
    return np.asarray(terms.start(jnp.float32(variance))) if terms else np.zeros(0)


def test_the_best_learned_variance_is_the_mse():
    """Rybkin et al., ICML 2021: σ² = mse is where the gradient vanishes."""
    likelihood = likelihoods.gaussian_learned()
    assert likelihood.outputs == 1
    rng = np.random.default_rng(3)
    x, mean = rng.normal(size=(2, B, T, F)).astype(np.float32)
    batch = types.SimpleNamespace(x=x, length=None)

    @jax.jit
    @jax.grad
    def slope(logvar):
        shared = jnp.broadcast_to(logvar, mean.shape)
        return likelihood.nll(batch, jnp.stack([mean, shared], -1)).sum()

    best = np.log(np.square(x - mean).mean())
    assert abs(slope(best)) < 1e-4
    assert slope(best - 0.1) < -1 and slope(best + 0.1) > 1


@pytest.mark.parametrize("df", [2.5, 5.0])
def test_student_s_parameters_are_learned(df):
    """By the natural gradients that training uses, from draws of scipy's."""
    likelihood = likelihoods.student_t()
    x = scipy.stats.t.rvs(df, scale=0.1, size=(400, 128, 8), random_state=0)
    tx = optimizer.natural(lambda v: 8 * likelihood.shared.information(v))

    def nll(terms, x):
        decoded = jnp.broadcast_to(terms, (*x.shape, 2))
        decoded = jnp.concatenate([jnp.zeros((*x.shape, 1)), decoded], -1)
        batch = types.SimpleNamespace(x=x, length=None)
        return likelihood.nll(batch, decoded).mean()

    def step(terms, x):
        update, _ = tx.update(jax.grad(nll)(terms, x), tx.init(terms), terms)
        return terms + update, terms

    start = likelihood.shared.start(jnp.float32(x.var()))
    last = jax.jit(lambda x: jax.lax.scan(step, start, x)[1])(np.float32(x))[-100:]
    np.testing.assert_allclose(np.exp(last[:, 0] / 2).mean(), 0.1, rtol=0.05)
    degrees = 2 + np.exp(last[:, 1].mean())
    np.testing.assert_allclose(degrees, df, rtol=0.15)
