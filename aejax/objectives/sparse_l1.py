"""Sparse autoencoder, L1. Ng, CS294A notes, 2011, with an L1 penalty on relu codes.

loss = -log p(x|z) + weight · Σ_j z_j ‖d_j‖, with z = relu(f(x)) ≥ 0 (Glorot et al.,
AISTATS 2011, section 4) and d_j the decoder's weights of z_j: without them a code made
small and weights made large would have no penalty, and be the same autoencoder
(Olshausen & Field, Nature 1996; Bricken et al., 2023).
"""

import jax

heads = 1
prior = None
ranges = {"weight": (0.0, float("inf"))}


def code(model, params, batch, **hp):
    return jax.nn.relu(model.encode(params, batch))


def loss(model, params, batch, key, *, weight=0.1):
    del key
    z = code(model, params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    l1 = (z * model.decoder_norms(params)[None]).sum(-1).mean()
    active = ((z > 0).sum(-1) / model.latent_mask.sum()).mean()
    return nll + weight * l1, {"nll": nll, "l1": l1, "active": active}


digits = {"latent_dim": 8}, "mse", 0.0166, 0.0030
