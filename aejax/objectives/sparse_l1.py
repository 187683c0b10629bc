"""Sparse autoencoder, L1. Ng, CS294A notes, 2011, with an L1 penalty on relu codes.

loss = -log p(x|z) + weight · Σ_j z_j ‖d_j‖, with z = relu(f(x)) ≥ 0 (Glorot et al.,
AISTATS 2011, section 4). d_j are the decoder's weights of z_j, as in Bricken et al.,
2023: else a small code and large weights, the same autoencoder, would have no penalty.
A decoder of several layers has ∂decoded/∂z_j in their place, by root mean square, for
layers behind the first could take up the scale as well.
"""

import jax
from jaxtyping import Array, Float, Scalar

heads = 1
prior = None
ranges = {"weight": (0.0, float("inf"))}


def code(model, params, batch, **hp) -> Float[Array, "B Z"]:
    return jax.nn.relu(model.encode(params, batch))


def loss(model, params, batch, key, *, weight=0.1) -> tuple[Scalar, dict[str, Scalar]]:
    z = code(model, params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    norms = model.decoder_norms(params, z, batch, key)  # (Z,)
    l1 = (z * norms[None]).sum(-1).mean()
    active = ((z > 0).sum(-1) / model.latent_mask.sum()).mean()
    return nll + weight * l1, {"nll": nll, "l1": l1, "active": active}
