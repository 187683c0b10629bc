"""VAE with a flow posterior. Rezende & Mohamed, ICML 2015, eq. 15; layers: Dinh et al.,
ICLR 2017 (real NVP), eqs. 7-8.   loss = E[-log p(x|z) + log q(z|x) - log p(z)]

z is z_0 ~ N(mu, σ²) after ``num_flows`` affine couplings, which keep every other
dimension and scale and shift the rest by a network of those kept and of a context that
the encoder gives beside mu and σ (Kingma et al., NeurIPS 2016, section 4): one flow for
all x would but change the prior.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

heads = 3  # mu, logvar, context
static = ("num_flows",)
kl_control = {"beta", "schedule", "free_bits"}
ranges = {"num_flows": (0, float("inf"))}


def init(model, net, batch, key, *, num_flows, **hp):
    first = model.mlp((), 2, latent_in=2, latent_out=True)[0]
    keys = jax.random.split(key, max(num_flows, 1))[:num_flows]
    return {"extra": {f"flow_{i}": first(keys[i]) for i in range(num_flows)}}


def _flow(
    model, params, z: Float[Array, "B Z"], context: Float[Array, "B Z"]
) -> tuple[Float[Array, "B Z"], Float[Array, " B"]]:
    """z_K and log |det ∂z_K/∂z_0| of z_0 and context."""
    apply = model.mlp((), 2, latent_in=2, latent_out=True)[1]
    log_det = jnp.zeros(z.shape[0])  # not len: an export has any number of rows
    parity = jnp.arange(z.shape[1])[None] % 2
    for i in range(len(params["extra"])):
        moved = (parity == i % 2) * model.latent_mask
        inputs = z * (1.0 - moved), context
        scale, shift = apply(params["extra"][f"flow_{i}"], inputs)
        scale = jnp.tanh(scale) * moved
        z = z * jnp.exp(scale) + shift * moved
        log_det = log_det + scale.sum(-1)
    return z, log_det


def _draw(model, params, batch, key) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """nll, and log q(z|x) - log p(z) of one draw."""
    mu, logvar, context = model.encode(params, batch)
    first = model.sample(key, mu, logvar)
    z, log_det = _flow(model, params, first, context)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))
    log_q = -losses.gaussian_nll(first, mu, logvar) - log_det
    return nll, log_q + losses.gaussian_nll(z, 0.0 * z)


def loss(model, params, batch, key, *, num_flows=4) -> tuple[Scalar, dict[str, Scalar]]:
    del num_flows
    nll, kl = _draw(model, params, batch, key)
    return nll.mean() + model.kl(kl), {"nll": nll.mean(), "kl": kl.mean()}


def code(model, params, batch, **hp) -> Float[Array, "B Z"]:
    mu, _, context = model.encode(params, batch)
    return _flow(model, params, mu, context)[0]


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    nll, kl = _draw(model, params, batch, key)
    return -kl - nll  # (B,)
