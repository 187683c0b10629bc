"""β-VAE. Higgins et al., ICLR 2017, eq. 4; capacity: Burgess et al., 2018, eq. 8.

loss = E_q[-log p(x|z)] + beta · |KL(q || p) - C|. C rises linearly from 0 to
``capacity`` nats over the share ``ramp`` of training; with the default capacity of 0
the second term is beta · KL, for a KL is not negative.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

ranges = {
    "beta": (0.0, float("inf")),
    "capacity": (0.0, float("inf")),
    "ramp": (0.0, 1.0),
}
kl_control = {"schedule", "free_bits"}


def loss(
    model, params, batch, key, *, beta=1.5, capacity=0.0, ramp=0.5
) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)  # (B, Z), (B, Z)
    z = model.sample(key, mu, logvar)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    kl = losses.gaussian_kl(mu[..., None], logvar[..., None])  # (B, Z)
    clock = model.clock
    rise = jnp.minimum(1.0, (clock.step + 1) / jnp.maximum(ramp * clock.steps, 1.0))
    gap = jnp.abs(model.kl.nats(kl) - capacity * rise)
    return nll + beta * model.kl.weight * gap, {"nll": nll, "kl": kl.sum(-1).mean()}


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
