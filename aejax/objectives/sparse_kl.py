"""Sparse autoencoder, KL. Ng, CS294A notes, 2011, section 3.

loss = -log p(x|z) + weight · Σ_j KL(rho || mean of z_j over the batch), z = sigmoid.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

heads = 1
prior = None
ranges = {"rho": (0.001, 0.999), "weight": (0.0, float("inf"))}


def code(model, params, batch, **hp) -> Float[Array, "B Z"]:
    return jax.nn.sigmoid(model.encode(params, batch)) * model.latent_mask


def loss(
    model, params, batch, key, *, rho=0.1, weight=1.0
) -> tuple[Scalar, dict[str, Scalar]]:
    del key
    z = code(model, params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    mean = jnp.clip(z.mean(0), 1e-6, 1.0 - 1e-6)  # (Z,)
    off = (1.0 - rho) * (jnp.log1p(-rho) - jnp.log1p(-mean))
    penalty = (rho * (jnp.log(rho) - jnp.log(mean)) + off) * model.latent_mask[0]
    mean_code = z.sum(-1).mean() / model.latent_mask.sum()
    penalty = penalty.sum()
    return nll + weight * penalty, {"nll": nll, "sparsity": penalty, "mean": mean_code}
