"""Finite scalar quantisation. Mentzer et al., ICLR 2024, eq. 1 and appendix A.1.

Each code dimension is bounded by tanh and rounded to one of ``levels`` values in
[-1, 1], with a straight-through gradient; there is no codebook that could collapse, but
dimensions can: ``dead`` counts those with one value throughout a batch. Of two levels
the code is the sign (lookup-free quantisation: Yu et al., ICLR 2024).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

heads = 1
# From 1,001 levels on the bound of eq. 1 rounds to values beyond the grid.
ranges = {"levels": (2, 1000)}


def _unit(levels):
    return jnp.floor(levels / 2.0)


def quantize(z: Float[Array, "*S"], levels) -> Float[Array, "*S"]:
    """z to the grid, straight through: multiples of 1 / floor(levels / 2)."""
    half = (levels - 1.0) * (1.0 + 1e-3) / 2.0
    offset = jnp.where(levels % 2 == 0, 0.5, 0.0)  # an even number has no middle
    # Eq. 1 puts z = 0 onto a value; of two that leaves the other out of reach.
    shift = jnp.where(levels == 2, 0.0, jnp.arctanh(offset / half))
    bounded = jnp.tanh(z + shift) * half - offset
    rounded = bounded + jax.lax.stop_gradient(jnp.round(bounded) - bounded)
    return rounded / _unit(levels)


def code(model, params, batch, *, levels, **hp) -> Float[Array, "B Z"]:
    return quantize(model.encode(params, batch), levels) * model.latent_mask


def loss(model, params, batch, key, *, levels=5) -> tuple[Scalar, dict[str, Scalar]]:
    del key
    z = code(model, params, batch, levels=levels)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    still = (z == z[:1]).all(0) & (model.latent_mask[0] > 0)
    return nll, {"nll": nll, "dead": 1.0 * still.sum()}


def prior(model, params, key, n, y, *, levels, **hp) -> Float[Array, "{n} Z"]:
    u = jax.random.uniform(key, (model.latent_mask.shape[1], n)).T
    steps = jnp.floor(u * levels) - _unit(levels)
    return steps / _unit(levels) * model.latent_mask
