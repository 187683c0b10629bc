"""aejax.losses against NumPy float64, scipy, quadrature and Monte Carlo."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from aejax import likelihoods, losses

RNG = np.random.default_rng(0)
D = 7


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def unit(*shape):
    return RNG.random(shape, np.float32)


def log_norm(logits):
    """log ((e^l - 1) / l) in float64, from a series where the two terms cancel."""
    near = np.abs(logits) < 1e-3
    safe = np.where(near, 1.0, logits)
    exact = np.log(np.expm1(safe) / safe)
    return np.where(near, logits / 2 + logits**2 / 24, exact)


def between(mu_q, logvar_q, mu_p, logvar_p):
    ratio = (np.exp(logvar_q) + (mu_q - mu_p) ** 2) / np.exp(logvar_p)
    return 0.5 * (logvar_p - logvar_q + ratio - 1)


def categorical(labels, logits):
    log_p = scipy.special.log_softmax(logits, axis=-1)
    return -np.take_along_axis(log_p, labels.astype(int)[..., None], -1)[..., 0]


def gaussian(x, mean, logvar):
    return -scipy.stats.norm.logpdf(x, mean, np.exp(logvar / 2))


# name -> (arguments of shape (3, 4, D, …), the sum's terms in float64)
CASES = {
    "gaussian_kl": (
        (normal(3, 4, D), normal(3, 4, D)),
        lambda m, v: 0.5 * (m**2 + np.exp(v) - 1 - v),
    ),
    "gaussian_kl_between": (tuple(normal(4, 3, 4, D)), between),
    "bernoulli_nll": (
        (unit(3, 4, D), 3 * normal(3, 4, D)),
        lambda x, z: (
            -(
                x * np.log(scipy.special.expit(z))
                + (1 - x) * np.log1p(-scipy.special.expit(z))
            )
        ),
    ),
    "continuous_bernoulli_nll": (
        (unit(3, 4, D), 3 * normal(3, 4, D)),
        lambda x, z: log_norm(z) - x * z,
    ),
    "gaussian_nll": (tuple(normal(3, 3, 4, D)), gaussian),
    "categorical_nll": (
        (RNG.integers(0, 5, (3, 4, D)), normal(3, 4, D, 5)),
        categorical,
    ),
    "squared_error": (tuple(normal(2, 3, 4, D)), lambda x, y: (x - y) ** 2),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_float64_sum_and_compiles_once(name):
    arguments, terms = CASES[name]
    traces = []

    @jax.jit
    def loss(*args):
        traces.append(name)
        return getattr(losses, name)(*args)

    got = loss(*arguments)
    assert got.shape == (3, 4) and got.dtype == jnp.float32
    wide = [np.asarray(a, np.float64) for a in arguments]
    np.testing.assert_allclose(got, terms(*wide).sum(-1), rtol=2e-5, atol=2e-5)
    shuffled = loss(*(a[::-1].copy() for a in arguments))
    np.testing.assert_allclose(shuffled, got[::-1], rtol=1e-6)
    assert len(traces) == 1


@pytest.mark.parametrize("name", CASES)
def test_twice_the_data_is_twice_the_loss(name):
    """A mean over elements would weigh every other term anew (mistake 3)."""
    arguments, _ = CASES[name]
    loss = jax.jit(getattr(losses, name))
    once = loss(*arguments)
    twice = loss(*(np.concatenate([a, a], axis=2) for a in arguments))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_shapes_that_would_broadcast_are_refused(name):
    arguments, _ = CASES[name]
    loss = getattr(losses, name).__wrapped__  # as for users: the checker would refuse
    for i, argument in enumerate(arguments):
        for cut in (argument[:1], argument[:, :, :1]):
            changed = arguments[:i] + (cut,) + arguments[i + 1 :]
            with pytest.raises(ValueError, match=r"\(1, 4, 7|\(3, 4, 1"):
                loss(*changed)


def value_and_gradient(loss, *arguments):
    """Loss of each row, and its gradient in the last argument."""

    def total(*arguments):
        each = loss(*arguments)
        return each.sum(), each

    last = len(arguments) - 1
    gradient, each = jax.jit(jax.grad(total, argnums=last, has_aux=True))(*arguments)
    return np.asarray(each), np.asarray(gradient)


@pytest.mark.parametrize("size", [104.0, 200.0])
def test_logits_far_out_stay_exact(size):
    """Cross-entropy from probabilities is inf from logit 104 on (mistake 8)."""
    logits = np.array([[-size], [-size], [size], [size]], np.float32)
    x = np.array([[0], [1], [0], [1]], np.float32)
    with np.errstate(divide="ignore"):
        p = scipy.special.expit(logits)
        naive = -np.log(np.where(x == 1, p, 1 - p))
    assert np.isinf(naive).any(), "the mistake this guards against"
    value, gradient = value_and_gradient(losses.bernoulli_nll, x, logits)
    np.testing.assert_allclose(value, [0, size, size, 0], atol=1e-30)
    np.testing.assert_allclose(gradient[:, 0], [0, -1, 1, 0], atol=1e-30)

    value, gradient = value_and_gradient(losses.continuous_bernoulli_nll, x, logits)
    far, near = size - np.log(size), -np.log(size)
    np.testing.assert_allclose(value, [near, far, far, near], atol=3e-5)
    slope = np.array([1, 1 - size, size - 1, -1]) / size
    np.testing.assert_allclose(gradient[:, 0], slope, atol=1e-6)

    logits = np.tile(np.array([[[size, -size, 0]]], np.float32), (3, 1, 1))
    labels = np.arange(3)[:, None]
    value, gradient = value_and_gradient(losses.categorical_nll, labels, logits)
    np.testing.assert_allclose(value, [0, 2 * size, size], atol=1e-6)
    want = np.array([1, 0, 0]) - np.eye(3)
    np.testing.assert_allclose(gradient[:, 0], want, atol=1e-30)


@pytest.mark.parametrize("logvar", [-30.0, 30.0])
def test_log_variances_far_out_stay_exact(logvar):
    points, one = np.full((1, 1), logvar, np.float32), np.ones((1, 1), np.float32)
    e = np.exp(np.float64(logvar))
    value, gradient = value_and_gradient(losses.gaussian_kl, one, points)
    np.testing.assert_allclose(value, [0.5 * (1 + e - 1 - logvar)], rtol=1e-5)
    np.testing.assert_allclose(gradient, [[0.5 * (e - 1)]], rtol=1e-5)

    value, gradient = value_and_gradient(losses.gaussian_nll, 0 * one, one, points)
    want = 0.5 * (np.log(2 * np.pi) + logvar + 1 / e)
    np.testing.assert_allclose(value, [want], rtol=1e-5)
    np.testing.assert_allclose(gradient, [[0.5 * (1 - 1 / e)]], rtol=1e-5)

    loss = losses.gaussian_kl_between
    value, gradient = value_and_gradient(loss, one, -points, 0 * one, points)
    np.testing.assert_allclose(value, between(1, -logvar, 0, logvar), rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_kl_is_zero_at_the_prior_and_negative_nowhere():
    tiny = np.logspace(-12, 1.5, 2000, dtype=np.float32)
    logvar = np.concatenate([-tiny, [0.0], tiny]).astype(np.float32)[:, None]
    kl = jax.jit(losses.gaussian_kl)(0 * logvar, logvar)
    assert (np.asarray(kl) >= 0).all()
    assert kl[2000] == 0.0
    between = jax.jit(losses.gaussian_kl_between)
    same = between(0 * logvar, logvar, 0 * logvar, logvar)
    assert (np.asarray(same) == 0).all()
    # A padded dimension has mu = logvar = 0.
    mu = normal(5, 4)
    padded = np.pad(mu, ((0, 0), (0, 3)))
    alone = losses.gaussian_kl(mu, mu)
    np.testing.assert_allclose(losses.gaussian_kl(padded, padded), alone, rtol=1e-6)


def test_kl_equals_its_monte_carlo_estimate():
    rng = np.random.default_rng(1)
    mu_q, logvar_q, mu_p, logvar_p = rng.normal(size=(4, 5)) * 0.7
    z = mu_q + np.exp(logvar_q / 2) * rng.normal(size=(200_000, 5))
    log_q = -gaussian(z, mu_q, logvar_q).sum(-1)
    for kl, log_p in (
        (losses.gaussian_kl(mu_q, logvar_q), -gaussian(z, 0, 0).sum(-1)),
        (
            losses.gaussian_kl_between(mu_q, logvar_q, mu_p, logvar_p),
            -gaussian(z, mu_p, logvar_p).sum(-1),
        ),
    ):
        draws = log_q - log_p
        assert abs(kl - draws.mean()) < 4 * draws.std() / np.sqrt(len(z))


def test_unit_gaussian_is_half_the_squared_error():
    x, mean = normal(6, D), normal(6, D)
    half = 0.5 * losses.squared_error(x, mean) + D / 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(losses.gaussian_nll(x, mean), half, rtol=1e-6)
    one = losses.gaussian_nll(x, mean, jnp.float32(0.3))
    many = losses.gaussian_nll(x, mean, jnp.full((6, D), 0.3))
    np.testing.assert_allclose(one, many, rtol=1e-6)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_a_draw_s_first_dimensions_know_no_width(batch):
    key = jax.random.key(3)
    draw, draws = jax.jit(losses.reparametrize), {}
    for z in (2, 5, 16):
        mu, logvar = (np.full((*batch, z), v, np.float32) for v in (0.5, -1))
        draws[z] = np.asarray(draw(key, mu, logvar))
        assert draws[z].shape == (*batch, z)
        assert len(np.unique(draws[z])) == draws[z].size
    for z in (2, 5):
        # jax 0.12's jitted normals are prefix-stable to 5e-7 only.
        np.testing.assert_allclose(draws[16][..., :z], draws[z], atol=1e-6)
    np.testing.assert_array_equal(draw(key, mu, logvar), draws[16])
    assert (draw(jax.random.key(4), mu, logvar) != draws[16]).all()


def test_a_draw_has_mean_mu_and_variance_exp_logvar():
    n = 40_000
    mu = np.tile(np.array([[-1, 0, 2]], np.float32), (n, 1))
    logvar = np.tile(np.array([[-3, 0, 1]], np.float32), (n, 1))
    z = jax.jit(losses.reparametrize)(jax.random.key(0), mu, logvar)
    z, sigma = np.asarray(z, np.float64), np.exp(logvar[0] / 2)
    assert (np.abs(z.mean(0) - mu[0]) < 5 * sigma / np.sqrt(n)).all()
    np.testing.assert_allclose(z.std(0), sigma, rtol=5 / np.sqrt(2 * n))
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 5 / np.sqrt(n)


def test_continuous_bernoulli_integrates_to_one():
    nodes, weights = np.polynomial.legendre.leggauss(400)
    logits = np.array([-200, -30, -1, -0.3001, -0.2999, -1e-3, 0, 1e-6, 0.3, 9, 200])
    x = np.tile((nodes + 1) / 2, (len(logits), 1)).astype(np.float32)[..., None]
    points = np.broadcast_to(logits.astype(np.float32)[:, None, None], x.shape)
    nll = np.asarray(jax.jit(losses.continuous_bernoulli_nll)(x, points), np.float64)
    np.testing.assert_allclose(np.exp(-nll) @ weights / 2, 1.0, atol=5e-5)


def test_continuous_bernoulli_has_no_seam():
    """Value, slope (the mean) and curvature (the variance), across |l| = 0.3."""
    near = np.linspace(0.25, 0.35, 201)
    points = np.float32(np.concatenate([-near, near, np.linspace(-0.01, 0.01, 21)]))
    value = losses.continuous_bernoulli_log_norm
    slope = jax.grad(value)
    got = jax.jit(jax.vmap(lambda v: (value(v), slope(v), jax.grad(slope)(v))))(points)
    wide = points.astype(np.float64)
    np.testing.assert_allclose(got[0], log_norm(wide), atol=6e-7)
    mean = 0.5 + wide / 12 - wide**3 / 720 + wide**5 / 30240 - wide**7 / 1209600
    np.testing.assert_allclose(got[1], mean, atol=2e-6)
    variance = 1 / 12 - wide**2 / 240 + wide**4 / 6048 - wide**6 / 172800
    np.testing.assert_allclose(got[2], variance, atol=2e-5)


def optimised(function, *args):
    """Compiled as for users; the tests' own XLA flag would hide the error."""
    options = {"xla_backend_optimization_level": 3}
    return jax.jit(function).lower(*args).compile(options)(*args)


@pytest.mark.parametrize("rows", [32_769, 65_537])
def test_jit_gets_every_row_right(rows):
    """jax#39103: jaxlib 0.10.2 gets one row of these wrong without our XLA flag."""
    rng = np.random.default_rng(rows)
    x, y = rng.normal(size=(2, rows, 3)).astype(np.float32)
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)

    def penalty(x, m):
        return jax.vmap(lambda r: jnp.sum((m @ r) ** 2))(x)

    for outputs in (2, 3):  # without the flag, these two go wrong at 32,769 rows
        m = rng.normal(size=(outputs, 3)).astype(np.float32)
        want = np.square(wide_x @ m.T.astype(np.float64)).sum(-1)
        got = optimised(penalty, x, m)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)

    mse = optimised(lambda x, y: jnp.square(x - y).mean(-1), x, y)
    want = np.square(wide_x - wide_y).mean(-1)
    np.testing.assert_allclose(mse, want, rtol=1e-4, atol=1e-6)
    ours = optimised(losses.squared_error, x, y)
    np.testing.assert_allclose(ours, 3 * want, rtol=1e-4, atol=1e-6)

    def nll(x, y):  # its sum is a product with ones
        batch = types.SimpleNamespace(x=x, length=None)
        return likelihoods.gaussian().nll(batch, y[..., None])

    want = 1.5 * want + 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(optimised(nll, x, y), want, rtol=1e-4, atol=1e-5)
