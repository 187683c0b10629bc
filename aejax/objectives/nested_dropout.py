"""Nested dropout. Rippel et al., ICML 2014, eq. 6.   codes ordered like PCA's

Each example keeps its first b code dimensions, b from a geometric distribution cut off
at k; dimension j is learnt to add to those before it, so that one model gives the whole
bottleneck curve (``evaluate.truncate``). ``rate`` is the chance to stop at each one.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Scalar

heads = 1
prior = None
ranges = {"rate": (1e-4, 0.99)}


def loss(model, params, batch, key, *, rate=0.1) -> tuple[Scalar, dict[str, Scalar]]:
    z = model.encode(params, batch)  # (B, Z)
    k = model.latent_mask.sum()
    u = jax.random.uniform(key, (len(z),))
    # Inverse CDF of the geometric distribution on 1 … k.
    inside = -jnp.expm1(k * jnp.log1p(-rate))
    last = jnp.floor(jnp.log1p(-u * inside) / jnp.log1p(-rate))  # 0 … k - 1
    kept = jnp.arange(z.shape[1])[None] <= last[:, None]
    z = jnp.where(kept, z, 0.0)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    return nll, {"nll": nll}
