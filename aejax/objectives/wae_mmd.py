"""WAE-MMD. Tolstikhin et al., ICLR 2018, algorithm 2.

loss = -log p(x | z = f(x)) + weight · MMD²(q(z), p(z)), with a deterministic encoder.
"""

from jaxtyping import Scalar

from aejax import losses

heads = 1
ranges = {"weight": (0.0, float("inf"))}
choices = {"kernel": ("imq", "rbf")}


def loss(
    model, params, batch, key, *, weight=10.0, kernel="imq"
) -> tuple[Scalar, dict[str, Scalar]]:
    z = model.encode(params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    # 2k is the expected squared distance of two draws of the prior.
    mmd = losses.mmd(z, model.noise(key, len(z)), 2.0 * model.latent_mask.sum(), kernel)
    return nll + weight * mmd, {"nll": nll, "mmd": mmd}
