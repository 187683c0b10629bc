"""Adversarial autoencoder. Makhzani et al., 2016 (arXiv:1511.05644), section 2.

loss = -log p(x | z = f(x)) + weight · log(1 - D(z)) in its non-saturating form: a
critic D tells draws of the prior from codes, the encoder fools it (Goodfellow et al.,
NeurIPS 2014). One scalar trains both, each seeing the other through stop_gradient.
"""

import jax
import optax
from jaxtyping import Scalar

heads = 1
ranges = {"weight": (0.0, float("inf")), "critic_rate": (0.0, float("inf"))}


def init(model, net, batch, key, **hp):
    return {"extra": {"critic": model.mlp((), 1, latent_in=True)[0](key)}}


def loss(
    model, params, batch, key, *, weight=1.0, critic_rate=1.0
) -> tuple[Scalar, dict[str, Scalar]]:
    del critic_rate  # times the learning rate; see optimizer
    z = model.encode(params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    critic, stop = model.mlp((), 1, latent_in=True)[1], jax.lax.stop_gradient
    weights = params["extra"]["critic"]
    fooled = jax.nn.softplus(-critic(stop(weights), z)).mean()
    prior = critic(weights, model.noise(key, len(z)))
    bce = jax.nn.softplus(-prior) + jax.nn.softplus(critic(weights, stop(z)))
    bce = 0.5 * bce.mean()
    # The critic's part has its own gradients, but no part in the value compared.
    total = nll + weight * fooled + bce - stop(bce)
    return total, {"nll": nll, "fooled": fooled, "critic": bce}


def optimizer(tx, model, *, learning_rate, critic_rate, **hp):
    mask = {"net": False, "extra": True}
    return optax.chain(tx, optax.masked(optax.scale(critic_rate), mask))
