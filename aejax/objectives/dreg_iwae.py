"""DReG-IWAE. Tucker et al., ICLR 2019, eq. 8.   the IWAE bound, encoder gradient w̃²

The value is IWAE's. The decoder's gradient is Σ w̃_k ∂log w_k as there; the encoder's is
Σ w̃_k² ∂log w_k along z alone, which has the same mean and less variance. Where the KL
counts by β < 1 it is Σ (β w̃_k² + (1 - β) w̃_k) ∂log w_k: of the score function, which
they turn into a gradient along z, there is the share β.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

static = ("num_samples",)
ranges = {"num_samples": (1, float("inf"))}
kl_control = {"schedule"}


def loss(
    model, params, batch, key, *, num_samples=5
) -> tuple[Scalar, dict[str, Scalar]]:
    stop, beta = jax.lax.stop_gradient, model.kl.weight
    mu, logvar = model.encode(params, batch)
    z = jax.vmap(lambda key: model.sample(key, mu, logvar))(
        jax.random.split(key, num_samples)
    )  # (K, B, Z)

    def log_w(params, z):  # (K, B); the density's own parameters stay fixed

        def one(z):
            nll = model.likelihood.nll(batch, model.decode(params, z, batch))
            none = jnp.zeros_like(nll)
            prior = losses.log_weight(none, z, stop(mu), stop(logvar))
            return beta * prior - nll, nll

        return jax.vmap(one)(z)

    fixed, nll = log_w(params, stop(z))  # decoder; XLA computes the two alike once
    moving, _ = log_w(stop(params), z)  # encoder
    share = stop(jax.nn.softmax(fixed, axis=0))
    bound = stop(jax.nn.logsumexp(fixed, axis=0) - jnp.log(num_samples)).mean()
    along_z = beta * share**2 + (1.0 - beta) * share
    surrogate = (share * fixed + along_z * moving).sum(0).mean()
    kl = losses.gaussian_kl(mu, logvar).mean()
    total = -bound - (surrogate - stop(surrogate))
    return total, {"nll": nll.mean(), "kl": kl}


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
