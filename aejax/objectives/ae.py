"""Autoencoder. Hinton & Salakhutdinov, Science 2006.   loss = -log p(x | z = f(x))"""

from jaxtyping import Scalar

heads = 1
prior = None


def loss(model, params, batch, key) -> tuple[Scalar, dict[str, Scalar]]:
    del key
    z = model.encode(params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))  # (B,)
    return nll.mean(), {"nll": nll.mean()}
