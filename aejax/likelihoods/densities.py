"""Densities of real numbers: their parameters, and their nll in nats."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from aejax import losses
from aejax.likelihoods import base


def _continuous_bernoulli_sample(key: PRNGKeyArray, logits: base.Values) -> base.Values:
    """Inverse CDF: log1p(u (eˡ − 1)) / l, mirrored for l > 0, where eˡ may overflow."""
    u = jax.random.uniform(key, logits.shape, logits.dtype)
    size = jnp.abs(logits)
    small = size < 1e-3
    safe = jnp.where(small, 1.0, size)
    below = -jnp.log1p(u * jnp.expm1(-safe)) / safe  # for a rate of -|l|
    x = jnp.where(small, u, jnp.clip(below, 0.0, 1.0))
    return jnp.where(logits > 0, 1.0 - x, x)


def _continuous_bernoulli_bias(mean: Float[np.ndarray, "*S"]) -> base.Bias:
    def mean_of(logits: np.ndarray) -> np.ndarray:
        safe = np.where(np.abs(logits) < 1e-4, 1e-4, logits)
        return -1.0 / np.expm1(-safe) - 1.0 / safe

    target = np.clip(np.asarray(mean, np.float64), 1e-2, 1 - 1e-2)
    return base.bisect(mean_of, target, 200.0)[..., None]


def continuous_bernoulli(scale: float = 1.0) -> base.Likelihood:
    """Natural parameters of the continuous Bernoulli; data in [0, 1]."""
    return base.scalars(
        losses.continuous_bernoulli_nll,
        lambda d: losses.continuous_bernoulli_mean(d[..., 0]),
        lambda key, d: _continuous_bernoulli_sample(key, d[..., 0]),
        _continuous_bernoulli_bias,
        support="unit",
    )


def gaussian(scale: float = 1.0) -> base.Likelihood:
    """Means, with σ = 1 data unit: nll is ½ squared error plus (D/2) log 2π."""
    return base.scalars(
        losses.gaussian_nll,
        lambda d: d[..., 0],
        lambda key, d: d[..., 0] + jax.random.normal(key, d.shape[:-1], d.dtype),
        lambda mean: np.asarray(mean)[..., None],
    )


def gaussian_learned(scale: float = 1.0) -> base.Likelihood:
    """Means, with one log σ² for all data elements, learned: σ² is the training mse.

    Rybkin, Daniilidis & Levine, ICML 2021, equation 3 (σ-VAE): the optimum is the mean
    squared error, under the posterior. Natural gradients make σ² its moving average.
    """
    return _around_mean(
        losses.gaussian_nll,
        lambda key, d: jnp.exp(0.5 * d[..., 1]) * jax.random.normal(key, d.shape[:-1]),
        base.scalar(
            lambda v: base.log_variance(v)[None], lambda s: jnp.full_like(s, 0.5)
        ),
    )


def laplace(scale: float = 1.0) -> base.Likelihood:
    """Medians, with one log b for all data elements, learned: the mean |x - median|."""
    return _around_mean(
        losses.laplace_nll,
        lambda key, d: jnp.exp(d[..., 1]) * jax.random.laplace(key, d.shape[:-1]),
        base.scalar(lambda v: 0.5 * base.log_variance(v / 2)[None], jnp.ones_like),
    )


def student_t(scale: float = 1.0) -> base.Likelihood:
    """Means, with log σ² and log(ν - 2) of all elements, learned; for outliers.

    Lange, Little & Taylor, JASA 1989; with ν above 2, so that there is a variance.
    """

    def degrees(log_over: ArrayLike) -> Array:
        return 2.0 + jnp.exp(jnp.clip(log_over, -9.0, 9.0))  # float32 knows no more

    def sample(key: PRNGKeyArray, d: base.Decoded) -> base.Values:
        draws = jax.random.t(key, degrees(d[..., 2]), d.shape[:-1])
        return jnp.exp(0.5 * d[..., 1]) * draws

    def loss(
        x: base.Terms, mean: base.Terms, logvar: base.Terms, log_df: base.Terms
    ) -> base.Values:
        return losses.student_t_nll(x, mean, logvar, degrees(log_df))

    def information(shared: Float[ArrayLike, "2"]) -> Float[Array, "2"]:
        # Lange et al., appendix B, of log σ² and of log(ν - 2).
        df, polygamma = degrees(shared[1]), jax.scipy.special.polygamma
        half = polygamma(1, df / 2) - polygamma(1, (df + 1) / 2)
        of_df = 0.25 * half - (df + 5) / (2 * df * (df + 1) * (df + 3))
        # Of ν there is next to none where the tails are a Gaussian's.
        of_df = jnp.maximum((df - 2.0) ** 2 * of_df, 1e-3)
        return jnp.stack([df / (2 * (df + 3)), of_df])

    def start(variance: ArrayLike) -> Float[Array, "2"]:
        log_scale = base.log_variance(variance) - math.log(5 / 3)
        return jnp.stack([log_scale, jnp.log(3.0)])

    return _around_mean(loss, sample, base.scalar(start, information))


def _around_mean(
    loss: Callable, noise: Callable, shared: base.Shared
) -> base.Likelihood:
    """A density of a location, the decoder's, and of shared parameters."""
    plain = gaussian()

    def sample(key: PRNGKeyArray, d: base.Decoded) -> base.Values:
        return d[..., 0] + noise(key, d)

    return base.scalars(loss, plain.mean, sample, plain.from_mean, shared=shared)
