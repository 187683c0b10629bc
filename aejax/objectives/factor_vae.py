"""FactorVAE. Kim & Mnih, ICML 2018, eq. 2.   loss = -ELBO + gamma · TC(z)

A critic D tells codes from codes whose dimensions were shuffled over the batch, each on
its own; its logit estimates the density ratio in TC (eq. 3). One scalar trains both:
the VAE sees the critic's output but not its weights, the critic sees stopped codes.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Scalar

from aejax import losses

ranges = {"gamma": (0.0, float("inf")), "critic_rate": (0.0, float("inf"))}
kl_control = {"schedule", "free_bits"}


def init(model, net, batch, key, **hp):
    return {"extra": {"critic": model.mlp((), 1, latent_in=True)[0](key)}}


def _shuffled(key, z: Float[Array, "B Z"]) -> Float[Array, "B Z"]:
    """z with every dimension permuted over the batch on its own."""

    def order(dim):  # a key per dimension: the first k are the same for every Z
        return jax.random.permutation(jax.random.fold_in(key, dim), len(z))

    orders = jax.vmap(order)(jnp.arange(z.shape[1]))  # (Z, B)
    return jnp.take_along_axis(z.T, orders, axis=1).T


def loss(
    model, params, batch, key, *, gamma=5.0, critic_rate=1.0
) -> tuple[Scalar, dict[str, Scalar]]:
    del critic_rate  # times the learning rate; see optimizer
    key_z, key_order = jax.random.split(key)
    mu, logvar = model.encode(params, batch)
    z = model.sample(key_z, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    kl = losses.gaussian_kl(mu[..., None], logvar[..., None])  # (B, Z)
    critic, stop = model.mlp((), 1, latent_in=True)[1], jax.lax.stop_gradient
    weights = params["extra"]["critic"]
    tc = critic(stop(weights), z).mean()
    joint = critic(weights, stop(z))
    product = critic(weights, stop(_shuffled(key_order, z)))
    bce = 0.5 * (jax.nn.softplus(-joint) + jax.nn.softplus(product)).mean()
    # The critic's part has its own gradients, but no part in the value compared.
    total = nll + model.kl(kl) + gamma * tc + bce - stop(bce)
    parts = {"tc": tc, "critic": bce}
    return total, {"nll": nll, "kl": kl.sum(-1).mean()} | parts


def optimizer(tx, model, *, learning_rate, critic_rate, **hp):
    mask = {"net": False, "extra": True}
    return optax.chain(tx, optax.masked(optax.scale(critic_rate), mask))


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
