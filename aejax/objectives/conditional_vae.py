"""Conditional VAE. Sohn et al., NeurIPS 2015, eq. 4.   the VAE given a label y

loss = E_q(z|x,y)[-log p(x|z,y)] + KL(q(z|x,y) || p(z|y)), p(z|y) a Gaussian per class.
Where y is a caption (B, L), p(z|y) = N(0, 1).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

needs = {"labels"}
kl_control = {"beta", "schedule", "free_bits"}


def init(model, net, batch, key, **hp):
    if batch.y.ndim == 2:
        return {}
    zeros = jnp.zeros((model.latent_mask.shape[1], model.num_classes))
    return {"extra": {"latent_mu": zeros, "latent_logvar": zeros}}


def _prior(model, params, y) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
    """Mean and log variance of p(z|y)."""
    table = params["extra"]
    if y.ndim == 2:
        zeros = jnp.zeros((y.shape[0], model.latent_mask.shape[1]))
        return zeros, zeros
    return tuple(
        table[name][:, y].T * model.latent_mask
        for name in ("latent_mu", "latent_logvar")
    )


def loss(model, params, batch, key) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)
    z = model.sample(key, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    both = (mu, logvar, *_prior(model, params, batch.y))
    kl = losses.gaussian_kl_between(*(a[..., None] for a in both))  # (B, Z)
    return nll + model.kl(kl), {"nll": nll, "kl": kl.sum(-1).mean()}


def prior(model, params, key, n, y, **hp) -> Float[Array, "{n} Z"]:
    return model.sample(key, *_prior(model, params, y))


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    mu, logvar = model.encode(params, batch)
    z = model.sample(key, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))
    log_p = -losses.gaussian_nll(z, *_prior(model, params, batch.y))
    return log_p + losses.gaussian_nll(z, mu, logvar) - nll  # (B,)
