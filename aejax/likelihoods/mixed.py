"""Tables: a density or a probability for each column, by its kind; nll in nats."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

from aejax import losses
from aejax.likelihoods import base

# Of σ in data units. Below it a constant column would outweigh all others, and at 0 its
# density has no bound (Mattei & Frellsen, NeurIPS 2018).
LEAST = 0.01
_FLOOR = 2 * math.log(LEAST)
Kinds = Sequence[tuple[str, int]]  # (kind, width) of each column, in the order of x


class Places(NamedTuple):
    """Where numbers and booleans stand in x (B, D), (D,) each; and every category."""

    number: Bool[np.ndarray, " D"]
    boolean: Bool[np.ndarray, " D"]
    categories: tuple[slice, ...]


def places(kinds: Kinds) -> Places:
    """Of "number" and "boolean", of width 1, and "category", one-hot of its width."""
    widths = [width for _, width in kinds]
    ends = np.cumsum(widths)
    names = np.repeat([kind for kind, _ in kinds], widths)
    return Places(
        names == "number",
        names == "boolean",
        tuple(
            slice(int(end) - width, int(end))
            for (kind, width), end in zip(kinds, ends, strict=True)
            if kind == "category"
        ),
    )


def mixed(scale: float = 1.0, kinds: Kinds = ()) -> base.Likelihood:
    """A Gaussian with σ learned per number, Bernoulli per boolean, categorical per
    category; without ``kinds`` all are numbers, of any shape.

    Nazábal, Olmos, Ghahramani & Valera, Pattern Recognition 2020 (HI-VAE), section 2.2,
    with one σ for a column where they decode one for each example. Natural parameters
    are mean, log-odds, and logits of the one-hot positions. ``mse`` is that of numbers
    and ``error_rate`` that of booleans and categories, of those that there are.
    """
    layout = places(kinds) if kinds else None
    number = layout.number if kinds else np.True_
    element_nll = functools.partial(_element_nll, layout)
    mean = functools.partial(_mean, layout)

    def sample(key: PRNGKeyArray, d: base.Decoded) -> base.Values:
        keys = jax.random.split(key, 3)
        x = d[..., 0]
        if d.shape[-1] > 1:
            x = x + _deviation(d) * jax.random.normal(keys[0], x.shape)
        if not kinds:
            return x
        p = jax.nn.sigmoid(d[..., 0])
        x = jnp.where(layout.boolean[None], jax.random.bernoulli(keys[1], p), x)
        noisy = d[..., 0] + jax.random.gumbel(keys[2], x.shape)
        for some in layout.categories:
            top = jnp.argmax(noisy[:, some], -1)
            x = x.at[:, some].set(jax.nn.one_hot(top, some.stop - some.start))
        return x

    def from_mean(mean: Float[np.ndarray, "*S"]) -> base.Bias:
        if not kinds:
            return mean[..., None]
        share = np.log(np.clip(mean, 1e-3, 1.0))
        out = np.where(layout.boolean, base.logit(mean)[..., 0], share)
        return np.where(number, mean, out)[..., None]

    made = base.Likelihood(1, element_nll, mean, sample, from_mean)
    if number.any():
        made = made._replace(shared=_deviations(layout))
    return made._replace(measures=_measures(layout)) if kinds else made


def _deviations(layout: Places | None) -> base.Shared:
    """log σ² (n,) of the numbers, or (*S,) where all are."""

    def start(variance: Float[ArrayLike, "*S"]) -> Float[Array, "..."]:
        logvar = jnp.maximum(base.log_variance(jnp.asarray(variance)), _FLOOR)
        return logvar if layout is None else logvar[np.flatnonzero(layout.number)]

    def laid(logvar: Float[ArrayLike, "..."]) -> Float[Array, "*S 1"]:
        if layout is None:
            return logvar[..., None]
        rank = np.maximum(np.cumsum(layout.number) - 1, 0)
        return (logvar[rank] * layout.number)[:, None]

    def information(logvar: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
        # ½ in the one element that has it, where all of that is observed.
        size = logvar.size if layout is None else len(layout.number)
        return jnp.full_like(logvar, 0.5 / size)

    def observed(share: Float[ArrayLike, "*S"]) -> Float[Array, "..."]:
        return share if layout is None else share[np.flatnonzero(layout.number)]

    return base.Shared(start, information, laid, observed)


@jax.custom_vjp
def _floored(logvar: base.Values) -> base.Values:
    """log σ², ``_FLOOR`` at least; from below gradients lead up, and none further down:
    a column that was constant in all batches so far may yet turn out not to be."""
    return jnp.maximum(logvar, _FLOOR)


def _backward(below: Bool[Array, "..."], slope: base.Values) -> tuple[base.Values]:
    return (jnp.where(below, jnp.minimum(slope, 0.0), slope),)


_floored.defvjp(lambda logvar: (_floored(logvar), logvar < _FLOOR), _backward)


def _deviation(d: base.Decoded) -> base.Values:
    return jnp.exp(0.5 * jnp.maximum(d[..., 1], _FLOOR))


def _element_nll(
    layout: Places | None, x: Float[ArrayLike, " B *S"], d: base.Decoded
) -> base.Values:
    first = d[..., 0]
    if d.shape[-1] > 1:
        logvar = _floored(d[..., 1])
        each = losses.gaussian_nll(x[..., None], first[..., None], logvar[..., None])
    else:
        each = jnp.zeros_like(first)
    if layout is None:
        return each
    if layout.boolean.any():
        bits = losses.bernoulli_nll(x[..., None], first[..., None])
        each = jnp.where(layout.boolean[None], bits, each)
    for some in layout.categories:
        # Its nats are those of the position that is 1.
        each = each.at[:, some].set(-x[:, some] * jax.nn.log_softmax(first[:, some]))
    return each


def _mean(layout: Places | None, d: base.Decoded) -> base.Values:
    x = d[..., 0]
    if layout is None:
        return x
    out = jnp.where(layout.boolean[None], jax.nn.sigmoid(x), x)
    for some in layout.categories:  # joined, not set: that has an operator anywhere
        parts = out[:, : some.start], jax.nn.softmax(x[:, some]), out[:, some.stop :]
        out = jnp.concatenate(parts, axis=1)
    return out


def _measures(layout: Places) -> dict[str, base.Measure]:
    """Of those kinds that there are."""
    first = layout.boolean.copy()
    first[[some.start for some in layout.categories]] = True

    def wrong(x: Float[ArrayLike, " B *S"], d: base.Decoded) -> Bool[Array, " B *S"]:
        out = (x > 0.5) != (d[..., 0] > 0)
        for some in layout.categories:
            same = jnp.argmax(x[:, some], -1) == jnp.argmax(d[:, some, 0], -1)
            out = out.at[:, some.start].set(~same)
        return out

    measures = {
        "mse": base.Measure(None, None if layout.number.all() else layout.number),
        "error_rate": base.Measure(wrong, first),
    }
    return {n: m for n, m in measures.items() if m.where is None or m.where.any()}
