"""β-VAE. Higgins et al., ICLR 2017, eq. 4; capacity: Burgess et al., 2018, eq. 8.

loss = E_q[-log p(x|z)] + beta · |KL(q || p) - C|. beta rises linearly over the share
``kl_warmup`` of training, C from 0 to ``capacity`` nats over the share ``ramp``; with
the default capacity of 0 the second term is beta · KL, for a KL is not negative.
"""

import jax.numpy as jnp

from aejax import losses

ranges = {
    "beta": (0.0, float("inf")),
    "kl_warmup": (0.0, 1.0),
    "capacity": (0.0, float("inf")),
    "ramp": (0.0, 1.0),
}


def _rise(clock, share):
    """From above 0 to 1 over this share of training; 1 throughout for a share of 0."""
    return jnp.minimum(1.0, (clock.step + 1) / jnp.maximum(share * clock.steps, 1.0))


def loss(model, params, batch, key, *, beta=4.0, kl_warmup=0.0, capacity=0.0, ramp=0.5):
    mu, logvar = model.encode(params, batch)  # (B, Z), (B, Z)
    z = model.sample(key, mu, logvar)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    kl = losses.gaussian_kl(mu, logvar).mean()
    gap = jnp.abs(kl - capacity * _rise(model.clock, ramp))
    beta = beta * _rise(model.clock, kl_warmup)
    return nll + beta * gap, {"nll": nll, "kl": kl}


def log_weight(model, params, batch, key, **hp):
    return model.log_weight(params, batch, key)


digits = {"latent_dim": 8, "beta": 0.5}, "loss", 21.44, 0.4
