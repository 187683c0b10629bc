"""β-TCVAE. Chen et al., NeurIPS 2018, eq. 4.   KL = mutual information + TC + the rest

loss = E_q[-log p(x|z)] + alpha · I(z; n) + beta · TC(z) + gamma · Σ_j KL(q(z_j) || p).
q(z) and q(z_j) come from the batch: ``estimator`` "mss" is stratified (appendix C.2);
"mws" weights it (eq. 5), whose TC is too high by up to (k - 1) log N, a constant. The
loss depends on how many examples a batch has, a test loss on the size of the test set:
only losses of equal sizes compare.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from aejax import losses

ranges = {name: (0.0, float("inf")) for name in ("alpha", "beta", "gamma")}
choices = {"estimator": ("mss", "mws")}
kl_control = {"schedule"}


def _log_weights(size, num_examples, estimator) -> Float[Array, "{size} {size}"]:
    """Log weight of q(·|x_j) in the estimate of q at a draw from q(·|x_i)."""
    if estimator == "mws" or size < 2:
        return jnp.full((size, size), -jnp.log(1.0 * size * num_examples))
    others = size - 1  # M in the paper: those beside the draw's own
    if others >= num_examples:  # a held-out batch above the training set: q of itself
        return jnp.full((size, size), -jnp.log(1.0 * size))
    last = (num_examples - others) / (num_examples * others)
    weights = jnp.full((size, size), 1.0 / others)
    weights = weights + (1.0 / num_examples - 1.0 / others) * jnp.eye(size)
    one_more = jnp.roll(jnp.eye(size), 1, axis=1)
    return jnp.log(weights + (last - 1.0 / others) * one_more)


def loss(
    model, params, batch, key, *, alpha=1.0, beta=6.0, gamma=1.0, estimator="mss"
) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)
    z = model.sample(key, mu, logvar)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))
    # log q(z_i | x_j) of each dimension, (B, B, Z); masked before and after any sum.
    each = -0.5 * (
        losses.LOG_2PI
        + logvar[None]
        + jnp.square(z[:, None] - mu[None]) * jnp.exp(-logvar[None])
    )
    each = each * model.latent_mask[None]
    weights = _log_weights(len(z), model.clock.num_examples, estimator)
    log_q_z = jax.nn.logsumexp(each.sum(-1) + weights, axis=1)  # (B,)
    alone = jax.nn.logsumexp(each + weights[..., None], axis=1) * model.latent_mask
    log_q_product = alone.sum(-1)
    log_q_given_x = -losses.gaussian_nll(z, mu, logvar)
    log_p = -losses.gaussian_nll(z, 0.0 * z)
    padded = losses.LOG_2PI / 2 * (1.0 - model.latent_mask).sum()  # in these two only
    information = (log_q_given_x + padded - log_q_z).mean()
    tc = (log_q_z - log_q_product).mean()
    rest = (log_q_product - log_p - padded).mean()
    weighted = alpha * information + beta * tc + gamma * rest
    total = nll.mean() + model.kl.weight * weighted
    kl = losses.gaussian_kl(mu, logvar).mean()
    parts = {"information": information, "tc": tc, "dimension_kl": rest}
    return total, {"nll": nll.mean(), "kl": kl} | parts


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
