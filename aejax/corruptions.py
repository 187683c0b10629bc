"""Corruptions ``(key, x, level) -> x_tilde`` of a batch; pure, and traced in level.

Vincent et al., JMLR 2010, section 5, for the noise types. ``x`` is (B, *S); images are
(B, H, W, C). The same key gives the same corruption.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, ScalarLike


def gaussian(
    key: PRNGKeyArray, x: Float[ArrayLike, " B *S"], level: ScalarLike
) -> Float[Array, " B *S"]:
    """x + level · ε with ε ~ N(0, 1); level is the noise's σ in data units, ≥ 0."""
    return x + level * jax.random.normal(key, x.shape, x.dtype)


def masking(
    key: PRNGKeyArray,
    x: Float[ArrayLike, " B *S"],
    level: ScalarLike,
    *,
    rescale: bool = False,
) -> Float[Array, " B *S"]:
    """Sets each element to 0 with probability ``level`` in [0, 1].

    ``rescale`` divides what is kept by 1 − level, so that the mean stays (dropout).
    """
    keep = jax.random.bernoulli(key, 1.0 - jnp.asarray(level), x.shape)
    kept = x / jnp.maximum(1.0 - level, 1e-6) if rescale else x
    return jnp.where(keep, kept, 0.0)


def salt_and_pepper(
    key: PRNGKeyArray,
    x: Float[ArrayLike, " B *S"],
    level: ScalarLike,
    low: ScalarLike = 0.0,
    high: ScalarLike = 1.0,
) -> Float[Array, " B *S"]:
    """Sets a fraction ``level`` of the elements to ``low`` or ``high``, by a fair coin.

    Vincent et al., JMLR 2010, section 3.3: the least and the largest possible value.
    """
    key_hit, key_coin = jax.random.split(key)
    hit = jax.random.bernoulli(key_hit, level, x.shape)
    coin = jax.random.bernoulli(key_coin, 0.5, x.shape)
    return jnp.where(hit, jnp.where(coin, high, low).astype(x.dtype), x)


def occlusion(
    key: PRNGKeyArray, x: Float[ArrayLike, " B *S"], level: ScalarLike
) -> Float[Array, " B *S"]:
    """Sets one axis-parallel box to 0 in every example, wholly inside the image.

    ``level`` is its share of each side, in [0, 1], rounded to whole elements. In (B, T,
    F) and (B, D) it is a stretch of the first axis.
    """
    axes = (1, 2) if x.ndim == 4 else (1,)
    inside = jnp.ones((1,) * x.ndim, bool)
    for axis, axis_key in zip(axes, jax.random.split(key, len(axes)), strict=True):
        size = x.shape[axis]
        width = jnp.round(level * size)
        shape = tuple(x.shape[0] if i == 0 else 1 for i in range(x.ndim))
        start = jnp.floor(
            jax.random.uniform(axis_key, shape, x.dtype) * (size - width + 1)
        )
        position = jnp.arange(size).reshape(
            tuple(size if i == axis else 1 for i in range(x.ndim))
        )
        inside = inside & (position >= start) & (position < start + width)
    return jnp.where(inside, 0.0, x)


def downsample(
    key: PRNGKeyArray, x: Float[ArrayLike, " B *S"], level: ScalarLike
) -> Float[Array, " B *S"]:
    """Area average over level × level blocks, repeated back to full size.

    The factor is ≥ 1, traced or not; the last block of a side may be smaller. (B, T, F)
    and (B, D) are averaged along one axis. The key is not used.
    """
    for axis in (1, 2) if x.ndim == 4 else (1,):
        block = jnp.arange(x.shape[axis]) // level
        same = (block[:, None] == block[None]).astype(x.dtype)
        mean = same / same.sum(1, keepdims=True)
        x = jnp.moveaxis(jnp.tensordot(mean, x, (1, axis)), 0, axis)
    return x


def hide(
    key: PRNGKeyArray, x: Float[ArrayLike, " B *S"], level: ScalarLike
) -> Float[Array, " B *S"]:
    """Sets each element to NaN, not observed, with probability ``level`` in [0, 1].

    Networks that read missing values are shown which; what is NaN already stays so.
    """
    keep = jax.random.bernoulli(key, 1.0 - jnp.asarray(level), x.shape)
    return jnp.where(keep, x, jnp.nan)


CORRUPTIONS: dict[str, Callable] = {
    f.__name__: f
    for f in (gaussian, masking, salt_and_pepper, occlusion, downsample, hide)
}
