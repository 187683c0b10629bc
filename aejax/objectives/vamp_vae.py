"""VampPrior VAE. Tomczak & Welling, AISTATS 2018, eq. 9.   p(z) = 1/C Σ_c q(z | u_c)

The prior is the aggregate posterior of learned pseudo-inputs u_c, which start as
training examples with a little noise; of data in [0, 1] they stay there. ``components``
is C. Where a network takes levels one-hot (tokens) pseudo-inputs have no gradient and
stay the examples that they were.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

static = ("components",)
ranges = {"components": (1, float("inf"))}
kl_control = {"beta", "schedule", "free_bits"}


def init(model, net, batch, key, *, components, **hp):
    x = batch.x[jnp.arange(components) * len(batch.x) // components]
    x = jnp.where(jnp.isnan(x), 0.0, x) if model.likelihood.missing else x
    return {"extra": {"pseudo": x + 0.01 * jax.random.normal(key, x.shape)}}


def _components(model, params) -> tuple[Float[Array, "C Z"], Float[Array, "C Z"]]:
    """Mean and log variance of q(z | u_c)."""
    pseudo = params["extra"]["pseudo"]
    if model.likelihood.support != "real":
        pseudo = jnp.clip(pseudo, 0.0, 1.0)
    return model.encode(params, model.batch(pseudo))


def _log_prior(model, params, z: Float[Array, "B Z"]) -> Float[Array, " B"]:
    """log p(z), up to the constant of padded dimensions that log q has too."""
    mu, logvar = _components(model, params)
    each = losses.gaussian_nll(
        *jnp.broadcast_arrays(z[:, None], mu[None], logvar[None])
    )
    return jax.nn.logsumexp(-each, axis=1) - jnp.log(len(mu))


def loss(
    model, params, batch, key, *, components=50
) -> tuple[Scalar, dict[str, Scalar]]:
    del components
    mu, logvar = model.encode(params, batch)
    z = model.sample(key, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    log_q = -losses.gaussian_nll(z, mu, logvar)
    kl = log_q - _log_prior(model, params, z)  # (B,) of one draw
    return nll + model.kl(kl), {"nll": nll, "kl": kl.mean()}


def prior(model, params, key, n, y, **hp) -> Float[Array, "{n} Z"]:
    key_c, key_z = jax.random.split(key)
    mu, logvar = _components(model, params)
    index = jax.random.randint(key_c, (n,), 0, len(mu))
    return model.sample(key_z, mu[index], logvar[index])


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    mu, logvar = model.encode(params, batch)
    z = model.sample(key, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))
    log_q = -losses.gaussian_nll(z, mu, logvar)
    return _log_prior(model, params, z) - log_q - nll  # (B,)
