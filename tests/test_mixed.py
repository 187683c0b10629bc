"""The likelihood of tables: each kind against scipy, what is missing, learned σ."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from aejax import likelihoods
from aejax.likelihoods import mixed

KINDS = (("category", 3), ("number", 1), ("boolean", 1), ("number", 1), ("category", 2))
D, B = 8, 7
COLUMNS = [slice(0, 3), slice(3, 4), slice(4, 5), slice(5, 6), slice(6, 8)]
RNG = np.random.default_rng(0)
LOGVAR = np.float32([-1.0, 0.5])


def examples(rows=B):
    """(rows, D) of these kinds."""
    x = RNG.normal(size=(rows, D)).astype(np.float32)
    x[:, 4] = RNG.integers(0, 2, rows)
    x[:, :3] = np.eye(3)[RNG.integers(0, 3, rows)]
    x[:, 6:] = np.eye(2)[RNG.integers(0, 2, rows)]
    return x


X, FIRST = examples(), RNG.normal(size=(B, D)).astype(np.float32)


def make(missing=False):
    return likelihoods.observed("mixed", kinds=KINDS, missing=missing)


def decoded(first, logvar=LOGVAR):
    """Natural parameters as the model lays them."""
    laid = make().shared.laid(jnp.asarray(logvar))
    laid = jnp.broadcast_to(laid[None], (*first.shape, 1))
    return jnp.concatenate([jnp.asarray(first)[..., None], laid], -1)


@functools.partial(jax.jit, static_argnums=2)
def nll(x, d, missing=False):
    return make(missing).nll(types.SimpleNamespace(x=x, length=None), d)


def brute(x, first):
    """(B, 5) -log p of each column, by scipy."""
    sigma = np.exp(LOGVAR / 2)
    log_p = scipy.special.log_softmax
    return -np.stack(
        [
            (x[:, :3] * log_p(first[:, :3], 1)).sum(1),
            scipy.stats.norm.logpdf(x[:, 3], first[:, 3], sigma[0]),
            scipy.stats.bernoulli.logpmf(x[:, 4], scipy.special.expit(first[:, 4])),
            scipy.stats.norm.logpdf(x[:, 5], first[:, 5], sigma[1]),
            (x[:, 6:] * log_p(first[:, 6:], 1)).sum(1),
        ],
        1,
    )


def holes(rows=B):
    """(rows, 5) bool, true where a column is missing, and (rows, D)."""
    away = np.random.default_rng(1).random((rows, 5)) < 0.4
    return away, away.repeat([width for _, width in KINDS], 1)


def test_each_kind_has_its_own_nats():
    np.testing.assert_allclose(
        nll(X, decoded(FIRST)), brute(X, FIRST).sum(1), rtol=1e-5
    )


def test_what_is_missing_has_none_and_no_gradient():
    away, places = holes()
    x = np.where(places, np.float32(np.nan), X)
    want = np.where(away, 0, brute(X, FIRST)).sum(1)
    np.testing.assert_allclose(nll(x, decoded(FIRST), True), want, rtol=1e-5)
    slope = jax.grad(lambda f: nll(x, decoded(f), True).sum())(FIRST)
    assert np.isfinite(slope).all() and not slope[places].any()
    by_variance = jax.grad(lambda v: nll(x, decoded(FIRST, v), True).sum())(LOGVAR)
    assert np.isfinite(by_variance).all()


@pytest.mark.parametrize("name", [n for n in likelihoods.LIKELIHOODS if n != "mixed"])
def test_with_nothing_missing_bits_are_the_plain_ones(name):
    x = RNG.integers(0, 2, (B, D)).astype(np.float32)
    plain, masked = (likelihoods.observed(name, 1.0, (), m) for m in (False, True))
    width = plain.outputs
    d = RNG.normal(size=(B, D, width)).astype(np.float32)
    if plain.shared:
        start = jnp.broadcast_to(plain.shared.start(jnp.float32(0.7)), (B, D, 2))
        d = jnp.concatenate([d, start[..., : len(plain.shared.start(1.0))]], -1)

    def value(likelihood):
        batch = types.SimpleNamespace(x=x, length=None)
        return jax.jit(lambda d: likelihood.nll(batch, d))(d)

    np.testing.assert_array_equal(value(plain), value(masked))


def test_mixed_with_nothing_missing_is_the_plain_one():
    np.testing.assert_array_equal(nll(X, decoded(FIRST)), nll(X, decoded(FIRST), True))


def test_the_best_sigma_of_a_number_is_its_own_error():
    gap = np.square(X - FIRST)[:, [3, 5]].mean(0)
    slope = jax.grad(lambda v: nll(X, decoded(FIRST, v)).sum())
    np.testing.assert_allclose(slope(np.log(gap)), 0, atol=1e-4)
    assert (slope(np.log(gap) + 0.1) > 0.1).all()
    assert (slope(np.float32([-30.0, -30.0])) < -1).all(), "below the floor it is up"
    exact = jax.grad(lambda v: nll(X, decoded(X, v)).sum())
    assert not exact(np.float32([-30.0, -30.0])).any(), "what is constant has an end"
    np.testing.assert_allclose(exact(np.float32([-5.0, -5.0])), B / 2, rtol=1e-3)


def test_draws_have_the_mean_and_the_kinds():
    d = decoded(FIRST[:2])
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = np.asarray(jax.vmap(lambda key: make().sample(key, d))(keys))
    mean = np.asarray(make().mean(d))
    error = draws.std(0) / np.sqrt(len(draws)) + 1e-6
    assert np.abs((draws.mean(0) - mean) / error).max() < 5
    for some in (COLUMNS[0], COLUMNS[4]):
        assert (draws[..., some].sum(-1) == 1).all()
    assert set(np.unique(draws[..., [0, 1, 2, 4, 6, 7]])) == {0, 1}
    np.testing.assert_allclose(draws[..., 3].std(0), np.exp(LOGVAR[0] / 2), rtol=0.03)


def test_errors_are_by_kind_and_of_what_is_observed():
    away, places = holes()
    x = np.where(places, np.float32(np.nan), X)
    batch = types.SimpleNamespace(x=x, length=None)
    out = make(True).errors(batch, decoded(FIRST))
    numbers = ~places[:, [3, 5]]
    square = np.square(X - FIRST)[:, [3, 5]]
    want = (square * numbers).sum(1) / np.maximum(numbers.sum(1), 1)
    np.testing.assert_allclose(out["mse"], want, rtol=1e-5)
    wrong = np.stack(
        [
            X[:, :3].argmax(1) != FIRST[:, :3].argmax(1),
            X[:, 4] != (FIRST[:, 4] > 0),
            X[:, 6:].argmax(1) != FIRST[:, 6:].argmax(1),
        ],
        1,
    )
    seen = ~away[:, [0, 2, 4]]
    want = (wrong & seen).sum(1) / np.maximum(seen.sum(1), 1)
    np.testing.assert_allclose(out["error_rate"], want, rtol=1e-6)
    assert list(likelihoods.observed("mixed").measures) == ["mse"]
    plain = likelihoods.observed("mixed", kinds=(("boolean", 1),))
    assert list(plain.measures) == ["error_rate"] and plain.shared is None


def test_the_bias_has_the_mean_of_the_training_data():
    mean = np.array([0.2, 0.5, 0.3, -1.5, 0.7, 2.0, 0.9, 0.1])
    bias = np.float32(make().from_mean(mean))
    np.testing.assert_allclose(make().mean(bias[None])[0], mean, rtol=1e-5)


def test_a_number_learns_its_scale_from_its_column():
    v = np.float32([1, 1, 1, 4.0, 1, 0.0, 1, 1])
    start = make().shared.start(v)
    np.testing.assert_allclose(start, [np.log(4.0), 0.0], rtol=1e-6)
    information = make().shared.information(start)
    np.testing.assert_allclose(information * D, 0.5)
    low = make().shared.start(np.full(D, 1e-9, np.float32))
    np.testing.assert_allclose(np.exp(low / 2), mixed.LEAST, rtol=1e-5)


def test_a_scale_learns_at_the_pace_of_its_own_column():
    """Half the excess in a step's log, however much of other columns is missing."""
    x = examples(4000)
    x[:3600, 5] = np.nan
    x[:3000, :3] = np.nan
    likelihood, first = make(True), np.zeros_like(x)
    batch = types.SimpleNamespace(x=x, length=None)
    start = np.float32([0.0, 0.0])
    loss = jax.grad(lambda v: nll(x, decoded(first, v), True).mean())
    information = D * likelihood.valid(batch) * likelihood.shared.information(start)
    excess = -loss(start) / information
    want = np.nanmean(np.square(x[:, [3, 5]]), 0) - 1
    np.testing.assert_allclose(excess, want, atol=1e-3)
