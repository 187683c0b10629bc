"""IWAE. Burda et al., ICLR 2016, eq. 8.   loss = -E log 1/K Σ_k p(x, z_k) / q(z_k|x)

The value is the bound itself, at every K; ``num_samples`` is K.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

static = ("num_samples",)
ranges = {"num_samples": (1, float("inf"))}
kl_control = {"schedule"}  # of log p(z) - log q(z|x): Sønderby et al., NeurIPS 2016


def loss(
    model, params, batch, key, *, num_samples=5
) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)

    def draw(key):
        z = model.sample(key, mu, logvar)
        nll = model.likelihood.nll(batch, model.decode(params, z, batch))
        # log p(z) - log q(z|x)
        prior = losses.log_weight(jnp.zeros_like(nll), z, mu, logvar)
        return model.kl.weight * prior - nll, nll

    log_w, nll = jax.vmap(draw)(jax.random.split(key, num_samples))  # (K, B)
    bound = jax.nn.logsumexp(log_w, axis=0) - jnp.log(num_samples)  # (B,)
    kl = losses.gaussian_kl(mu, logvar).mean()
    return -bound.mean(), {"nll": nll.mean(), "kl": kl}


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
