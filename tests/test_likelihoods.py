"""aejax.likelihoods: each against brute force, Monte Carlo and its own inverse."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from aejax import config, likelihoods, losses

NAMES = tuple(likelihoods.LIKELIHOODS)
WITH_MEAN = tuple(n for n in NAMES if n != "tokens")
LEVELS = ("categorical", "tokens")
DISCRETE = ("bernoulli", "categorical", "discretized_logistic")
DENSITIES = ("gaussian", "gaussian_learned", "laplace", "student_t")
SCALE = 3.0  # four levels
B, T, F = 4, 3, 2


def make(name):
    return likelihoods.LIKELIHOODS[name](SCALE)


def width(name):
    return make(name).outputs + len(shared(name))


def shared(name, variance=1.0):
    """Where what a likelihood's data elements share starts."""
    extra = make(name).shared
    start = extra and np.asarray(extra.start(jnp.float32(variance)))
    return np.zeros(0) if start is None else np.atleast_1d(start)


def data(name, rng, shape=(B, T, F)):
    if name in (*LEVELS, "discretized_logistic"):
        return (rng.integers(0, 4, shape) / SCALE).astype(np.float32)
    if name == "bernoulli":
        return rng.integers(0, 2, shape).astype(np.float32)
    return rng.random(shape, np.float32)


def brute(name, x, decoded):
    """-log p(x) of one element, in Python floats."""
    d = [float(v) for v in decoded]
    if name == "bernoulli":
        return -scipy.stats.bernoulli.logpmf(round(x), scipy.special.expit(d[0]))
    if name == "continuous_bernoulli":
        return np.log(np.expm1(d[0]) / d[0]) - x * d[0]
    if name in LEVELS:
        return -scipy.special.log_softmax(d)[round(x * SCALE)]
    if name == "laplace":
        return -scipy.stats.laplace.logpdf(x, d[0], np.exp(d[1]))
    if name == "student_t":
        return -scipy.stats.t.logpdf(x, 2 + np.exp(d[2]), d[0], np.exp(d[1] / 2))
    if name == "discretized_logistic":
        logistic = scipy.stats.logistic(d[0], np.exp(d[1]))
        low = -np.inf if x == 0 else x - 0.5 / SCALE
        high = np.inf if x == 1 else x + 0.5 / SCALE
        return -np.log(logistic.cdf(high) - logistic.cdf(low))
    sigma = np.exp(d[1] / 2) if name in ("gaussian_learned", "mixed") else 1.0
    return -scipy.stats.norm.logpdf(x, d[0], sigma)


@functools.cache
def compiled(name):
    """Value and gradient of the summed nll; mean; sample."""
    likelihood = make(name)

    def nll(decoded, x, length):
        batch = types.SimpleNamespace(x=x, length=length)
        each = likelihood.nll(batch, decoded)
        return each.sum(), each

    def mean(decoded):
        out = likelihood.mean(decoded)
        return out.sum(), out

    return types.SimpleNamespace(
        nll=jax.jit(jax.value_and_grad(nll, has_aux=True)),
        mean=jax.jit(jax.value_and_grad(mean, has_aux=True)),
        sample=jax.jit(likelihood.sample),
    )


def test_the_table_is_what_a_config_may_choose():
    assert {"auto", *NAMES} == set(config.CHOICES["likelihood"])


@pytest.mark.parametrize("name", NAMES)
def test_nll_is_the_brute_force_sum_over_valid_steps(name):
    rng = np.random.default_rng(0)
    x = data(name, rng)
    decoded = rng.normal(size=(B, T, F, width(name))).astype(np.float32)
    terms = np.array(
        [
            [[brute(name, x[b, t, f], decoded[b, t, f]) for f in range(F)]]
            for b in range(B)
            for t in range(T)
        ]
    ).reshape(B, T, F)
    run = compiled(name).nll
    (_, each), _ = run(decoded, x, None)
    assert each.shape == (B,)
    np.testing.assert_allclose(each, terms.sum((1, 2)), rtol=1e-5)

    length = np.array([0, 1, 2, 3], np.int32)
    beyond = np.arange(T)[None] >= length[:, None]
    valid = np.where(beyond[..., None], 0, terms).sum((1, 2))
    junk = np.where(beyond[..., None], np.float32(1e3), x)
    (_, each), gradient = run(decoded, junk, length)
    np.testing.assert_allclose(each, valid, rtol=1e-5)
    assert (np.asarray(gradient)[beyond] == 0).all()
    assert (np.asarray(gradient)[~beyond] != 0).any()


def test_tokens_have_a_mode_and_are_wrong_or_not():
    tokens, rng = make("tokens"), np.random.default_rng(3)
    decoded = rng.normal(size=(B, T, F, 4)).astype(np.float32)
    ids = decoded.argmax(-1)
    np.testing.assert_array_equal(np.rint(tokens.mean(decoded) * SCALE), ids)
    x = data("tokens", rng)
    np.testing.assert_array_equal(
        tokens.measures["error_rate"].each(x, decoded),
        np.rint(x * SCALE).astype(int) != ids,
    )


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_of_discrete_data_sum_to_one(name):
    values = np.arange(2 if name == "bernoulli" else 4, dtype=np.float32)
    x = values.reshape(-1, 1) / values[-1]
    decoded = np.random.default_rng(1).normal(size=(1, 1, width(name))) * 3
    decoded = np.repeat(decoded.astype(np.float32), len(x), 0)
    (_, nll), _ = compiled(name).nll(decoded, x, None)
    np.testing.assert_allclose(np.exp(-np.asarray(nll)).sum(), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", WITH_MEAN)
def test_mean_is_the_mean_of_samples(name):
    n = 40_000
    spread = np.linspace(-6, 6, 12).reshape(4, 3, 1)
    if name.startswith("continuous"):  # the uniform, and both sides of every seam
        spread[:, 0, 0] = (0.0, 5e-4, 2e-3, -0.2)
    decoded = spread + np.zeros(width(name))
    if name == "categorical":
        decoded = decoded * np.array([0.1, -0.2, 0.3, 0.0])
    if width(name) > 1 and name != "categorical":
        decoded[..., 1:] = shared(name, 0.25)
    decoded = decoded.astype(np.float32)
    many = np.broadcast_to(decoded, (n, *decoded.shape))
    run = compiled(name)
    draws = np.asarray(run.sample(jax.random.key(0), many), np.float64)
    (_, mean), _ = run.mean(decoded)
    assert draws.shape[1:] == mean.shape == decoded.shape[:-1]
    error = 5 * draws.std(0) / np.sqrt(n) + 5e-6
    if name == "discretized_logistic":  # E[x] of the logistic before it is rounded
        error = error + 0.01
    assert (np.abs(draws.mean(0) - mean) < error).all()
    if name == "bernoulli":
        assert np.isin(draws, (0, 1)).all()
    elif name == "continuous_bernoulli":
        assert draws.min() >= 0 and draws.max() <= 1
        uniform = scipy.stats.kstest(draws[:, 0, 0], "uniform")
        assert uniform.pvalue > 1e-3
    elif name in ("categorical", "discretized_logistic"):
        np.testing.assert_allclose(draws * SCALE, np.round(draws * SCALE), atol=1e-6)
    else:
        sigma = 1.0 if name == "gaussian" else 0.5
        tails = {"laplace": 1.6, "student_t": 4.0}.get(name, 1.0)  # of heavier ones
        within = tails * 5 / np.sqrt(2 * n)
        np.testing.assert_allclose(draws.std(0), sigma, rtol=within)
    again = run.sample(jax.random.key(0), many)
    np.testing.assert_array_equal(again, draws.astype(np.float32))


@pytest.mark.parametrize("name", WITH_MEAN)
def test_from_mean_is_the_inverse_of_mean(name):
    target = np.linspace(0.015, 0.985, 12).reshape(3, 4)
    if name in DENSITIES:
        target = 10 * target - 5
    bias = make(name).from_mean(target)
    assert bias.shape == (3, 4, make(name).outputs)
    extra = np.broadcast_to(shared(name, 1e-6), (3, 4, len(shared(name))))
    decoded = np.concatenate([bias, extra], -1).astype(np.float32)
    (_, mean), _ = compiled(name).mean(decoded)
    np.testing.assert_allclose(mean, target, atol=1e-3)


@pytest.mark.parametrize("name", WITH_MEAN)
def test_from_mean_stays_finite_at_the_ends(name):
    bias = make(name).from_mean(np.array([0.0, 1.0]))
    assert np.isfinite(bias).all() and np.abs(bias).max() < 150


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [200.0, -200.0])
def test_values_and_gradients_stay_finite_far_out(name, size):
    x = data(name, np.random.default_rng(2))
    decoded = np.zeros((B, T, F, width(name)), np.float32)
    decoded[..., 0] = size
    if name == "gaussian_learned":
        decoded[..., 1] = np.sign(size) * 30
    run = compiled(name)
    (_, nll), slope = run.nll(decoded, x, None)
    (_, mean), mean_slope = run.mean(decoded)
    draw = run.sample(jax.random.key(0), decoded)
    assert np.isfinite(nll).all() and np.isfinite(slope).all(), "nll"
    assert np.isfinite(mean).all() and np.isfinite(draw).all(), "mean and sample"
    assert np.isfinite(mean_slope).all(), "gradient of the mean"


def test_a_categorical_of_uint8_images_has_256_classes():
    likelihood = likelihoods.categorical(255.0)
    assert likelihood.outputs == 256
    x = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    x = np.nextafter(x, np.float32(0))  # a quotient may come out rounded down
    decoded = np.full((256, 1, 256), -5, np.float32)
    decoded[np.arange(256), 0, np.arange(256)] = 5.0
    batch = types.SimpleNamespace(x=x, length=None)
    nll = jax.jit(lambda d: likelihood.nll(batch, d))(decoded)
    want = np.log(1 + 255 * np.exp(-10.0))
    np.testing.assert_allclose(nll, want, rtol=1e-4)


@pytest.mark.parametrize("name", ["gaussian_learned", "laplace", "student_t"])
def test_what_data_share_starts_at_their_variance(name):
    decoded = np.concatenate([[0.0], shared(name, 0.25)]).astype(np.float32)
    x = np.linspace(-40, 40, 400_001)
    batch = types.SimpleNamespace(x=np.float32(x)[:, None], length=None)
    many = jnp.broadcast_to(decoded, (len(x), 1, len(decoded)))
    nll = jax.jit(lambda d: make(name).nll(batch, d))(many)
    density = np.exp(-np.asarray(nll, np.float64))
    density = density * (x[1] - x[0])
    np.testing.assert_allclose(density.sum(), 1.0, rtol=1e-3)
    np.testing.assert_allclose((density * x**2).sum(), 0.25, rtol=0.02)


@pytest.mark.parametrize("name", ["gaussian_learned", "laplace", "student_t"])
def test_information_is_the_mean_square_of_the_score(name):
    """Fisher's, by the draws of the density itself."""
    likelihood, extra = make(name), shared(name, 0.25)
    n = 200_000
    full = jnp.broadcast_to(np.float32([0.0, *extra]), (n, 1 + len(extra)))
    x = jax.jit(likelihood.sample)(jax.random.key(1), full)

    def nll(extra, x):
        decoded = jnp.concatenate([jnp.zeros(1), extra]).reshape(1, 1, -1)
        batch = types.SimpleNamespace(x=x.reshape(1, 1), length=None)
        return likelihood.nll(batch, decoded)[0]

    score = jax.jit(jax.vmap(jax.grad(nll), (None, 0)))(jnp.float32(extra), x)
    want = np.square(np.asarray(score, np.float64)).mean(0)
    np.testing.assert_allclose(likelihood.shared.information(extra), want, rtol=0.05)


def test_a_discretized_logistic_is_salimans_s():
    """Against differences of the sigmoid in 64 bits, narrow scales too."""
    x = np.arange(256) / 255
    for log_scale in (-7.0, -4.0, 0.0):
        s, half = np.exp(log_scale), 0.5 / 255
        # Above the mean by what is left of 1, where the sigmoid itself is 1.
        side = np.where(x > 0.4, -1, 1)
        upper = np.where(
            x == 1, side > 0, scipy.special.expit(side * (x + half - 0.4) / s)
        )
        lower = np.where(
            x == 0, side < 0, scipy.special.expit(side * (x - half - 0.4) / s)
        )
        log_p = np.log(np.maximum(side * (upper - lower), 1e-300))
        args = (np.float32(x)[:, None], np.full((256, 1), 0.4, np.float32))
        got = losses.discretized_logistic_nll(*args, log_scale, 256)
        near = log_p > -600
        np.testing.assert_allclose(got[near], -log_p[near], rtol=2e-3, atol=1e-4)
        assert np.isfinite(got).all()
