"""MIWAE. Rainforth et al., ICML 2018, eq. 8.   the mean of M IWAE bounds of K draws

More draws sharpen the bound but drown the encoder's gradient in noise; M bounds of K
draws trade one for the other. ``num_bounds`` is M, ``num_samples`` K.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

static = ("num_bounds", "num_samples")
ranges = {"num_bounds": (1, float("inf")), "num_samples": (1, float("inf"))}
kl_control = {"schedule"}


def loss(
    model, params, batch, key, *, num_bounds=4, num_samples=4
) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)

    def draw(key):
        z = model.sample(key, mu, logvar)
        nll = model.likelihood.nll(batch, model.decode(params, z, batch))
        # log p(z) - log q(z|x)
        prior = losses.log_weight(jnp.zeros_like(nll), z, mu, logvar)
        return model.kl.weight * prior - nll, nll

    keys = jax.random.split(key, num_bounds * num_samples)
    log_w, nll = jax.vmap(draw)(keys)  # (M · K, B)
    log_w = log_w.reshape(num_bounds, num_samples, -1)
    bound = jax.nn.logsumexp(log_w, axis=1) - jnp.log(num_samples)  # (M, B)
    kl = losses.gaussian_kl(mu, logvar).mean()
    return -bound.mean(), {"nll": nll.mean(), "kl": kl}


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
