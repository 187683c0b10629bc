"""Contractive autoencoder. Rifai et al., ICML 2011, eq. 5.   + weight · ‖∂z/∂x‖²_F

It needs a code that cannot be made small at no cost: tied weights, as in the paper
(network ``linear_tied``), or a bounded code (``activate_code`` with tanh or sigmoid).
Elsewhere a smaller code and larger decoder weights escape the penalty, if slowly.
``method`` "exact" takes one backward pass per code dimension; "hutchinson" estimates
the norm from ``probes`` random signs (Hutchinson, 1990), for wide codes.
"""

from jaxtyping import Scalar

from aejax import losses

heads = 1
prior = None
static = ("probes",)
ranges = {"weight": (0.0, float("inf")), "probes": (1, float("inf"))}
choices = {"method": ("exact", "hutchinson")}


def loss(
    model, params, batch, key, *, weight=0.1, method="exact", probes=1
) -> tuple[Scalar, dict[str, Scalar]]:
    def encode(x):
        return model.encode(params, batch._replace(x=x))

    z = encode(batch.x)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    chosen = None if method == "exact" else (key, probes)
    jacobian = losses.jacobian_norm(encode, batch.x, chosen).mean()
    return nll + weight * jacobian, {"nll": nll, "jacobian": jacobian}
