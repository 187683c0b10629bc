"""DIP-VAE. Kumar et al., ICLR 2018, eqs. 6 (variant i) and 7 (variant ii).

loss = -ELBO + lambda_od · Σ_{i≠j} C_ij² + lambda_d · Σ_i (C_ii - 1)², where C is the
batch's covariance of E[z|x], and in variant ii of z itself.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

ranges = {"lambda_od": (0.0, float("inf")), "lambda_d": (0.0, float("inf"))}
choices = {"variant": ("i", "ii")}
kl_control = {"schedule", "free_bits"}


def loss(
    model, params, batch, key, *, lambda_od=10.0, lambda_d=10.0, variant="ii"
) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)
    z = model.sample(key, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    kl = losses.gaussian_kl(mu[..., None], logvar[..., None])  # (B, Z)
    centred = mu - mu.mean(0, keepdims=True)
    covariance = centred.T @ centred / len(mu)  # (Z, Z), 0 where padded
    variance = jnp.diagonal(covariance)
    off_diagonal = jnp.square(covariance).sum() - jnp.square(variance).sum()
    if variant == "ii":
        variance = variance + jnp.exp(logvar).mean(0)
    diagonal = (jnp.square(variance - 1.0) * model.latent_mask[0]).sum()
    total = nll + model.kl(kl) + lambda_od * off_diagonal + lambda_d * diagonal
    parts = {"off_diagonal": off_diagonal, "diagonal": diagonal}
    return total, {"nll": nll, "kl": kl.sum(-1).mean()} | parts


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
