"""Observation models p(x|z): what a decoder's output means, and its nll in nats."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from aejax import losses, xla_cpu

Values = Float[Array, " B *S"]  # in data units
Decoded = Float[ArrayLike, " B *S C"]  # natural parameters, C = outputs + shared
Terms = Float[ArrayLike, " B *S 1"]  # as losses take them, which sum the last axis
Bias = Float[np.ndarray, "*S C"]


class Shared(NamedTuple):
    """Parameters (n,) that all data elements share, learned beside the decoder.

    They start at ``start(variance of the data)``; ``information(them)`` is each one's
    Fisher information in a data element, by which natural gradients divide.
    """

    start: Callable
    information: Callable


class Likelihood(NamedTuple):
    """p(x | decoded). ``decoded`` is (B, *S, outputs + shared) natural parameters.

    Attributes:
      outputs: natural parameters per data element, given by the decoder.
      shared: what comes behind them, the same for all data elements; or None.
      nll: (batch, decoded) -> (B,) nats, over *S; ignores steps beyond batch.length.
      mean: decoded -> (B, *S), E[x], in data units.
      sample: (key, decoded) -> (B, *S), in data units.
      from_mean: NumPy (..., ) training mean -> (..., outputs) output bias, whose
        ``mean`` is that training mean; None where values have no mean.
      wrong: (x, decoded) -> (B, *S) elementwise, for values without a mean, whose
        squared error is not one; the mode is wrong or not.
      support: the values it gives a density or probability: "real"; "unit", [0, 1];
        "levels", stored integers divided by the largest; "binary", 0 and 1.
    """

    outputs: int
    nll: Callable
    mean: Callable
    sample: Callable
    from_mean: Callable | None
    shared: Shared | None = None
    wrong: Callable | None = None
    support: str = "real"


def _per_example(element_nll: Callable) -> Callable:
    """Sums an elementwise nll over *S, leaving out steps beyond ``batch.length``."""

    def nll(batch: Any, decoded: Decoded) -> Float[Array, " B"]:
        each = element_nll(batch.x, decoded)  # (B, *S)
        if batch.length is not None:
            valid = losses.valid_steps(each, batch.length)
            each = jnp.where(valid, each, 0.0)
        return xla_cpu.row_sums(each.reshape(each.shape[0], -1))

    return nll


def _scalars(
    loss: Callable, mean: Callable, sample: Callable, from_mean: Callable, **more: Any
) -> Likelihood:
    """One parameter per data element and then the shared ones; loss as in losses."""

    def element_nll(x: Float[ArrayLike, " B *S"], d: Decoded) -> Values:
        return loss(x[..., None], *(d[..., i, None] for i in range(d.shape[-1])))

    return Likelihood(1, _per_example(element_nll), mean, sample, from_mean, **more)


def bernoulli(scale: float = 1.0) -> Likelihood:
    """Logits, of data 0 and 1. Of values between nll is a cross-entropy, not -log p."""
    return _scalars(
        losses.bernoulli_nll,
        lambda d: jax.nn.sigmoid(d[..., 0]),
        lambda key, d: 1.0 * jax.random.bernoulli(key, jax.nn.sigmoid(d[..., 0])),
        _logit,
        support="binary",
    )


def _logit(mean: Float[np.ndarray, "*S"]) -> Bias:
    # Clipped as in Burda et al. 2016: a pixel that is never on must stay learnable.
    p = np.clip(mean, 1e-3, 1 - 1e-3)
    return np.log(p / (1 - p))[..., None]


def _continuous_bernoulli_sample(key: PRNGKeyArray, logits: Values) -> Values:
    """Inverse CDF: log1p(u (eˡ − 1)) / l, mirrored for l > 0, where eˡ may overflow."""
    u = jax.random.uniform(key, logits.shape, logits.dtype)
    size = jnp.abs(logits)
    small = size < 1e-3
    safe = jnp.where(small, 1.0, size)
    below = -jnp.log1p(u * jnp.expm1(-safe)) / safe  # for a rate of -|l|
    x = jnp.where(small, u, jnp.clip(below, 0.0, 1.0))
    return jnp.where(logits > 0, 1.0 - x, x)


def _bisect(mean_of: Callable, target: np.ndarray, bound: float) -> np.ndarray:
    """The parameter in ±bound at which the growing ``mean_of`` reaches ``target``."""
    low, high = np.full_like(target, -bound), np.full_like(target, bound)
    for _ in range(60):
        middle = (low + high) / 2
        above = mean_of(middle) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _continuous_bernoulli_bias(mean: Float[np.ndarray, "*S"]) -> Bias:
    def mean_of(logits: np.ndarray) -> np.ndarray:
        safe = np.where(np.abs(logits) < 1e-4, 1e-4, logits)
        return -1.0 / np.expm1(-safe) - 1.0 / safe

    target = np.clip(np.asarray(mean, np.float64), 1e-2, 1 - 1e-2)
    return _bisect(mean_of, target, 200.0)[..., None]


def continuous_bernoulli(scale: float = 1.0) -> Likelihood:
    """Natural parameters of the continuous Bernoulli; data in [0, 1]."""
    return _scalars(
        losses.continuous_bernoulli_nll,
        lambda d: losses.continuous_bernoulli_mean(d[..., 0]),
        lambda key, d: _continuous_bernoulli_sample(key, d[..., 0]),
        _continuous_bernoulli_bias,
        support="unit",
    )


def gaussian(scale: float = 1.0) -> Likelihood:
    """Means, with σ = 1 data unit: nll is ½ squared error plus (D/2) log 2π."""
    return _scalars(
        losses.gaussian_nll,
        lambda d: d[..., 0],
        lambda key, d: d[..., 0] + jax.random.normal(key, d.shape[:-1], d.dtype),
        lambda mean: np.asarray(mean)[..., None],
    )


def gaussian_learned(scale: float = 1.0) -> Likelihood:
    """Means, with one log σ² for all data elements, learned: σ² is the training mse.

    Rybkin, Daniilidis & Levine, ICML 2021, equation 3 (σ-VAE): the optimum is the mean
    squared error, under the posterior. Natural gradients make σ² its moving average.
    """
    return _around_mean(
        losses.gaussian_nll,
        lambda key, d: jnp.exp(0.5 * d[..., 1]) * jax.random.normal(key, d.shape[:-1]),
        Shared(lambda v: _log(v)[None], lambda s: jnp.full_like(s, 0.5)),
    )


def laplace(scale: float = 1.0) -> Likelihood:
    """Medians, with one log b for all data elements, learned: the mean |x - median|."""
    return _around_mean(
        losses.laplace_nll,
        lambda key, d: jnp.exp(d[..., 1]) * jax.random.laplace(key, d.shape[:-1]),
        Shared(lambda v: 0.5 * _log(v / 2)[None], jnp.ones_like),
    )


def student_t(scale: float = 1.0) -> Likelihood:
    """Means, with log σ² and log(ν - 2) of all elements, learned; for outliers.

    Lange, Little & Taylor, JASA 1989; with ν above 2, so that there is a variance.
    """

    def degrees(log_over: ArrayLike) -> Array:
        return 2.0 + jnp.exp(jnp.clip(log_over, -9.0, 9.0))  # float32 knows no more

    def sample(key: PRNGKeyArray, d: Decoded) -> Values:
        draws = jax.random.t(key, degrees(d[..., 2]), d.shape[:-1])
        return jnp.exp(0.5 * d[..., 1]) * draws

    def loss(x: Terms, mean: Terms, logvar: Terms, log_df: Terms) -> Values:
        return losses.student_t_nll(x, mean, logvar, degrees(log_df))

    def information(shared: Float[ArrayLike, "2"]) -> Float[Array, "2"]:
        # Lange et al., appendix B, of log σ² and of log(ν - 2).
        df, polygamma = degrees(shared[1]), jax.scipy.special.polygamma
        half = polygamma(1, df / 2) - polygamma(1, (df + 1) / 2)
        of_df = 0.25 * half - (df + 5) / (2 * df * (df + 1) * (df + 3))
        # Of ν there is next to none where the tails are a Gaussian's.
        of_df = jnp.maximum((df - 2.0) ** 2 * of_df, 1e-3)
        return jnp.stack([df / (2 * (df + 3)), of_df])

    start = lambda v: jnp.stack([_log(v) - math.log(5 / 3), jnp.log(3.0)])  # noqa: E731
    return _around_mean(loss, sample, Shared(start, information))


def discretized_logistic(scale: float = 255.0) -> Likelihood:
    """Means of a logistic, with one log s, learned; its mass in each level's interval.

    Kingma et al., NeurIPS 2016 (IAF), section 5.1; Salimans et al., ICLR 2017. E[x] is
    that of the logistic cut off at 0 and 1, within half a level of that of the levels.
    """

    def loss(x: Terms, mean: Terms, log_scale: Terms) -> Values:
        return losses.discretized_logistic_nll(x, mean, log_scale, round(scale) + 1)

    def mean(d: Decoded) -> Values:
        m = d[..., 0]
        if d.shape[-1] == 1:  # a network that reads its own output knows no scale
            return jnp.clip(m, 0.0, 1.0)
        s = jnp.exp(d[..., 1])
        return s * (jax.nn.softplus(m / s) - jax.nn.softplus((m - 1.0) / s))

    def sample(key: PRNGKeyArray, d: Decoded) -> Values:
        x = d[..., 0] + jnp.exp(d[..., 1]) * jax.random.logistic(key, d.shape[:-1])
        return jnp.clip(jnp.round(x * scale), 0.0, scale) / scale

    shared = Shared(
        lambda v: 0.5 * _log(3.0 * v / math.pi**2)[None],
        lambda s: jnp.full_like(s, (math.pi**2 + 3) / 9),
    )
    more = {"shared": shared, "support": "levels"}
    return _scalars(loss, mean, sample, gaussian().from_mean, **more)


def _around_mean(loss: Callable, noise: Callable, shared: Shared) -> Likelihood:
    """A density of a location, the decoder's, and of shared parameters."""
    plain = gaussian()

    def sample(key: PRNGKeyArray, d: Decoded) -> Values:
        return d[..., 0] + noise(key, d)

    return _scalars(loss, plain.mean, sample, plain.from_mean, shared=shared)


def _log(variance: ArrayLike) -> Float[Array, ""]:
    return jnp.log(jnp.where(variance > 0, variance, 1.0))  # constant data have none


def categorical(scale: float = 255.0) -> Likelihood:
    """One class per stored integer value 0 … scale; 256-way for uint8 images."""
    levels = round(scale) + 1

    def element_nll(x: Float[ArrayLike, " B *S"], decoded: Decoded) -> Values:
        labels = jnp.round(x * scale).astype(jnp.int32)
        return losses.categorical_nll(labels[..., None], decoded[..., None, :])

    def mean(decoded: Decoded) -> Values:
        values = jnp.arange(levels, dtype=decoded.dtype) / scale
        return jax.nn.softmax(decoded, axis=-1) @ values

    def from_mean(mean: Float[np.ndarray, "*S"]) -> Bias:
        # The distribution of largest entropy with this mean: logits linear in x.
        values = np.arange(levels) / scale

        def mean_of(tilt: np.ndarray) -> np.ndarray:
            logits = tilt[..., None] * values
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            return (weights * values).sum(-1) / weights.sum(-1)

        target = np.clip(np.asarray(mean, np.float64), 1e-2, 1 - 1e-2)
        return _bisect(mean_of, target, 200.0)[..., None] * values

    return Likelihood(
        outputs=levels,
        nll=_per_example(element_nll),
        mean=mean,
        sample=lambda key, d: jax.random.categorical(key, d, axis=-1) / scale,
        from_mean=from_mean,
        support="levels",
    )


def tokens(scale: float) -> Likelihood:
    """Categorical over tokens without an order, which have a mode and no mean."""
    return categorical(scale)._replace(
        mean=lambda d: jnp.argmax(d, axis=-1) / scale,
        from_mean=None,
        wrong=lambda x, d: jnp.round(x * scale) != jnp.argmax(d, axis=-1),
    )


LIKELIHOODS: dict[str, Callable[[float], Likelihood]] = {
    f.__name__: f
    for f in (
        bernoulli,
        continuous_bernoulli,
        gaussian,
        gaussian_learned,
        laplace,
        student_t,
        categorical,
        discretized_logistic,
        tokens,
    )
}
