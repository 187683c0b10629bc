"""DReG-IWAE. Tucker et al., ICLR 2019, eq. 8.   the IWAE bound, encoder gradient w̃²

The value is IWAE's. The decoder's gradient is Σ w̃_k ∂log w_k as there; the encoder's is
Σ w̃_k² ∂log w_k along z alone, which has the same mean and less variance.
"""

import jax
import jax.numpy as jnp

from aejax import losses

static = ("num_samples",)
ranges = {"num_samples": (1, float("inf"))}


def loss(model, params, batch, key, *, num_samples=5):
    stop = jax.lax.stop_gradient
    mu, logvar = model.encode(params, batch)
    z = jax.vmap(lambda key: model.sample(key, mu, logvar))(
        jax.random.split(key, num_samples)
    )  # (K, B, Z)

    def log_w(params, z):  # (K, B); the density's own parameters stay fixed

        def one(z):
            nll = model.likelihood.nll(batch, model.decode(params, z, batch))
            return losses.log_weight(nll, z, stop(mu), stop(logvar)), nll

        return jax.vmap(one)(z)

    fixed, nll = log_w(params, stop(z))  # decoder; XLA computes the two alike once
    moving, _ = log_w(stop(params), z)  # encoder
    share = stop(jax.nn.softmax(fixed, axis=0))
    bound = stop(jax.nn.logsumexp(fixed, axis=0) - jnp.log(num_samples)).mean()
    surrogate = (share * fixed + share**2 * moving).sum(0).mean()
    kl = losses.gaussian_kl(mu, logvar).mean()
    total = -bound - (surrogate - stop(surrogate))
    return total, {"nll": nll.mean(), "kl": kl}


def log_weight(model, params, batch, key, **hp):
    return model.log_weight(params, batch, key)


digits = {"latent_dim": 8}, "loss", 23.24, 0.5
