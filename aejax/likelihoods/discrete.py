"""Probabilities of stored levels: bits, grey levels and tokens; nll in nats."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

from aejax import losses
from aejax.likelihoods import base, densities


def bernoulli(scale: float = 1.0) -> base.Likelihood:
    """Logits, of data 0 and 1. Of values between nll is a cross-entropy, not -log p."""
    return base.scalars(
        losses.bernoulli_nll,
        lambda d: jax.nn.sigmoid(d[..., 0]),
        lambda key, d: 1.0 * jax.random.bernoulli(key, jax.nn.sigmoid(d[..., 0])),
        base.logit,
        support="binary",
    )


def discretized_logistic(scale: float = 255.0) -> base.Likelihood:
    """Means of a logistic, with one log s, learned; its mass in each level's interval.

    Kingma et al., NeurIPS 2016 (IAF), section 5.1; Salimans et al., ICLR 2017. E[x] is
    that of the logistic cut off at 0 and 1, within half a level of that of the levels.
    """

    def loss(x: base.Terms, mean: base.Terms, log_scale: base.Terms) -> base.Values:
        return losses.discretized_logistic_nll(x, mean, log_scale, round(scale) + 1)

    def mean(d: base.Decoded) -> base.Values:
        m = d[..., 0]
        if d.shape[-1] == 1:  # a network that reads its own output knows no scale
            return jnp.clip(m, 0.0, 1.0)
        s = jnp.exp(d[..., 1])
        return s * (jax.nn.softplus(m / s) - jax.nn.softplus((m - 1.0) / s))

    def sample(key: PRNGKeyArray, d: base.Decoded) -> base.Values:
        x = d[..., 0] + jnp.exp(d[..., 1]) * jax.random.logistic(key, d.shape[:-1])
        return jnp.clip(jnp.round(x * scale), 0.0, scale) / scale

    shared = base.scalar(
        lambda v: 0.5 * base.log_variance(3.0 * v / math.pi**2)[None],
        lambda s: jnp.full_like(s, (math.pi**2 + 3) / 9),
    )
    more = {"shared": shared, "support": "levels"}
    return base.scalars(loss, mean, sample, densities.gaussian().from_mean, **more)


def categorical(scale: float = 255.0) -> base.Likelihood:
    """One class per stored integer value 0 … scale; 256-way for uint8 images."""
    levels = round(scale) + 1

    def element_nll(x: Float[ArrayLike, " B *S"], decoded: base.Decoded) -> base.Values:
        labels = jnp.round(x * scale).astype(jnp.int32)
        return losses.categorical_nll(labels[..., None], decoded[..., None, :])

    def mean(decoded: base.Decoded) -> base.Values:
        values = jnp.arange(levels, dtype=decoded.dtype) / scale
        return jax.nn.softmax(decoded, axis=-1) @ values

    def from_mean(mean: Float[np.ndarray, "*S"]) -> base.Bias:
        # The distribution of largest entropy with this mean: logits linear in x.
        values = np.arange(levels) / scale

        def mean_of(tilt: np.ndarray) -> np.ndarray:
            logits = tilt[..., None] * values
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            return (weights * values).sum(-1) / weights.sum(-1)

        target = np.clip(np.asarray(mean, np.float64), 1e-2, 1 - 1e-2)
        return base.bisect(mean_of, target, 200.0)[..., None] * values

    return base.Likelihood(
        outputs=levels,
        element_nll=element_nll,
        mean=mean,
        sample=lambda key, d: jax.random.categorical(key, d, axis=-1) / scale,
        from_mean=from_mean,
        support="levels",
    )


def tokens(scale: float) -> base.Likelihood:
    """Categorical over tokens without an order, which have a mode and no mean."""

    def wrong(x: Float[ArrayLike, " B *S"], d: base.Decoded) -> Bool[Array, " B *S"]:
        return jnp.round(x * scale) != jnp.argmax(d, axis=-1)

    return categorical(scale)._replace(
        mean=lambda d: jnp.argmax(d, axis=-1) / scale,
        from_mean=None,
        measures={"error_rate": base.Measure(wrong)},
    )
