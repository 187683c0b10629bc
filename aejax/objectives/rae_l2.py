"""RAE-L2. Ghosh et al., ICLR 2020, eq. 11.   deterministic, z and decoder penalised

loss = -log p(x|z) + beta · ½‖z‖² + weight · ‖decoder‖². It generates from a density
fitted to its codes afterwards (``Autoencoder.sample``).
"""

import jax.numpy as jnp
from jaxtyping import Scalar

heads = 1
prior = None
ranges = {"beta": (0.0, float("inf")), "weight": (0.0, float("inf"))}


def loss(
    model, params, batch, key, *, beta=0.01, weight=1e-4
) -> tuple[Scalar, dict[str, Scalar]]:
    del key
    z = model.encode(params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    size = 0.5 * jnp.square(z).sum(-1).mean()
    l2 = model.decoder_l2(params)
    return nll + beta * size + weight * l2, {"nll": nll, "code_size": size, "l2": l2}
