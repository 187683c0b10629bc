"""k-sparse autoencoder. Makhzani & Frey, ICLR 2014.   only the k largest codes pass"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

heads = 1
prior = None
ranges = {"k": (1, "latent_dim")}


def code(model, params, batch, *, k, **hp) -> Float[Array, "B Z"]:
    z = model.encode(params, batch)  # (B, Z)
    score = jnp.where(model.latent_mask > 0, z, -jnp.inf)
    # By rank and not by threshold: ties must not let more than k through.
    rank = jnp.argsort(jnp.argsort(-score, axis=-1), axis=-1)
    return jnp.where(rank < k, z, 0.0)


def loss(model, params, batch, key, *, k=4) -> tuple[Scalar, dict[str, Scalar]]:
    del key
    z = code(model, params, batch, k=k)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    used = (z != 0).any(0).sum() / model.latent_mask.sum()
    return nll, {"nll": nll, "used": used}
