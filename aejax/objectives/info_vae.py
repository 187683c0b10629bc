"""InfoVAE (MMD-VAE). Zhao et al., AAAI 2019, eq. 6.

loss = E_q[-log p(x|z)] + (1 - alpha) · KL(q(z|x) || p) + (alpha + weight - 1) ·
MMD²(q(z), p(z)); their lambda is called weight here. alpha = 0, weight = 1 is the VAE.
"""

import math

import jax
from jaxtyping import Array, Float, Scalar

from aejax import losses


def ranges(alpha, **hp):  # below, the discrepancy would be made large
    return {"alpha": (-math.inf, 1.0), "weight": (max(0.0, 1.0 - alpha), math.inf)}


choices = {"kernel": ("rbf", "imq")}
kl_control = {"schedule", "free_bits"}


def loss(
    model, params, batch, key, *, alpha=0.5, weight=10.0, kernel="rbf"
) -> tuple[Scalar, dict[str, Scalar]]:
    key_z, key_prior = jax.random.split(key)
    mu, logvar = model.encode(params, batch)
    z = model.sample(key_z, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    kl = losses.gaussian_kl(mu[..., None], logvar[..., None])  # (B, Z)
    prior = model.noise(key_prior, len(z))
    mmd = losses.mmd(z, prior, 2.0 * model.latent_mask.sum(), kernel)
    total = nll + (1.0 - alpha) * model.kl(kl) + (alpha + weight - 1.0) * mmd
    return total, {"nll": nll, "kl": kl.sum(-1).mean(), "mmd": mmd}


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
