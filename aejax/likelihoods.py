"""Observation models p(x|z): what a decoder's output means, and its nll in nats."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import losses


class Likelihood(NamedTuple):
    """p(x | decoded). ``decoded`` is (B, *S, outputs + shared) natural parameters.

    Attributes:
      outputs: natural parameters per data element, given by the decoder.
      shared: parameters that all data elements share, learned beside the decoder.
      nll: (batch, decoded) -> (B,) nats, over *S; ignores steps beyond batch.length.
      mean: decoded -> (B, *S), E[x], in data units.
      sample: (key, decoded) -> (B, *S), in data units.
      from_mean: NumPy (..., ) training mean -> (..., outputs) output bias, whose
        ``mean`` is that training mean; None where values have no mean.
      wrong: (x, decoded) -> (B, *S) elementwise, for values without a mean, whose
        squared error is not one; the mode is wrong or not.
    """

    outputs: int
    nll: Callable
    mean: Callable
    sample: Callable
    from_mean: Callable | None
    shared: int = 0
    wrong: Callable | None = None


def _per_example(element_nll: Callable) -> Callable:
    """Sums an elementwise nll over *S, leaving out steps beyond ``batch.length``."""

    def nll(batch: Any, decoded: Array) -> Array:
        each = element_nll(batch.x, decoded)  # (B, *S)
        if batch.length is not None:
            step = jnp.arange(each.shape[1]).reshape((1, -1) + (1,) * (each.ndim - 2))
            valid = step < batch.length.reshape((-1,) + (1,) * (each.ndim - 1))
            each = jnp.where(valid, each, 0.0)
        each = each.reshape(each.shape[0], -1)
        # XLA:CPU's sum adds one number after the other; a product uses vector units.
        ones = jnp.ones(each.shape[1], each.dtype)
        return jnp.matmul(each, ones, precision=jax.lax.Precision.HIGHEST)

    return nll


def _scalars(
    loss: Callable, mean: Callable, sample: Callable, from_mean: Callable, shared=0
) -> Likelihood:
    """One parameter per data element and then ``shared`` ones; loss as in losses."""

    def element_nll(x: Array, d: Array) -> Array:
        return loss(x[..., None], *(d[..., i, None] for i in range(1 + shared)))

    return Likelihood(1, _per_example(element_nll), mean, sample, from_mean, shared)


def bernoulli(scale: float = 1.0) -> Likelihood:
    """Logits; data in [0, 1]."""

    return _scalars(
        losses.bernoulli_nll,
        lambda d: jax.nn.sigmoid(d[..., 0]),
        lambda key, d: 1.0 * jax.random.bernoulli(key, jax.nn.sigmoid(d[..., 0])),
        _logit,
    )


def _logit(mean: np.ndarray) -> np.ndarray:
    # Clipped as in Burda et al. 2016: a pixel that is never on must stay learnable.
    p = np.clip(mean, 1e-3, 1 - 1e-3)
    return np.log(p / (1 - p))[..., None]


def _continuous_bernoulli_mean(logits: Array) -> Array:
    """E[x] = 1 / (1 − e⁻ˡ) − 1 / l, by its series where the two terms cancel."""
    small = jnp.abs(logits) < 0.3
    safe = jnp.where(small, 1.0, jnp.abs(logits))  # exp of a positive one overflows
    above = -1.0 / jnp.expm1(-safe) - 1.0 / safe
    exact = jnp.where(logits > 0, above, 1.0 - above)
    near = jnp.where(small, logits, 0.0)
    square = near**2
    series = 0.5 + near * (1 / 12 - square * (1 / 720 - square * (1 / 30240)))
    return jnp.where(small, series, exact)


def _continuous_bernoulli_sample(key: Array, logits: Array) -> Array:
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


def _continuous_bernoulli_bias(mean: np.ndarray) -> np.ndarray:
    def mean_of(logits: np.ndarray) -> np.ndarray:
        safe = np.where(np.abs(logits) < 1e-4, 1e-4, logits)
        return -1.0 / np.expm1(-safe) - 1.0 / safe

    target = np.clip(np.asarray(mean, np.float64), 1e-2, 1 - 1e-2)
    return _bisect(mean_of, target, 200.0)[..., None]


def continuous_bernoulli(scale: float = 1.0) -> Likelihood:
    """Natural parameters of the continuous Bernoulli; data in [0, 1]."""
    return _scalars(
        losses.continuous_bernoulli_nll,
        lambda d: _continuous_bernoulli_mean(d[..., 0]),
        lambda key, d: _continuous_bernoulli_sample(key, d[..., 0]),
        _continuous_bernoulli_bias,
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

    Rybkin, Daniilidis & Levine, ICML 2021, equation 3 (σ-VAE).
    """

    def sample(key: Array, d: Array) -> Array:
        eps = jax.random.normal(key, d.shape[:-1], d.dtype)
        return d[..., 0] + jnp.exp(0.5 * d[..., 1]) * eps

    plain = gaussian()
    return _scalars(losses.gaussian_nll, plain.mean, sample, plain.from_mean, 1)


def categorical(scale: float = 255.0) -> Likelihood:
    """One class per stored integer value 0 … scale; 256-way for uint8 images."""
    levels = round(scale) + 1

    def element_nll(x: Array, decoded: Array) -> Array:
        labels = jnp.round(x * scale).astype(jnp.int32)
        return losses.categorical_nll(labels[..., None], decoded[..., None, :])

    def mean(decoded: Array) -> Array:
        values = jnp.arange(levels, dtype=decoded.dtype) / scale
        return jax.nn.softmax(decoded, axis=-1) @ values

    def from_mean(mean: np.ndarray) -> np.ndarray:
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
    )


def symbols(scale: float) -> Likelihood:
    """Categorical over symbols without an order, which have a mode and no mean."""
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
        categorical,
        symbols,
    )
}
