"""Two-layer VAE. Burda et al., ICLR 2016, section 3 (L = 2); Rezende et al., ICML 2014.

q(z1|x) q(z2|z1) against p(z2) p(z1|z2) p(x|z1), both codes of the bottleneck's size.
loss = E_q[-log p(x|z1) + log q(z1|x) - log p(z1|z2)] + KL(q(z2|z1) || p(z2))
Without free bits z2 is soon unused (Sønderby et al., NeurIPS 2016): a few by default.
"""

import jax
from jaxtyping import Array, Float, Scalar

from aejax import losses

kl_control = {"beta", "schedule", "free_bits"}
kl_defaults = {"kl_warmup": 0.25, "free_bits": 0.05}


def init(model, net, batch, key, **hp):
    first = model.mlp((), 2, latent_in=True, latent_out=True)[0]
    up, down = jax.random.split(key)
    return {"extra": {"up": first(up), "down": first(down)}}


def _draw(model, params, batch, key):
    """nll, log q(z1|x) - log p(z1|z2), and z2 with its mean and log variance."""
    apply, extra = model.mlp((), 2, latent_in=True, latent_out=True)[1], params["extra"]
    key_1, key_2 = jax.random.split(key)
    mu_1, logvar_1 = model.encode(params, batch)
    z_1 = model.sample(key_1, mu_1, logvar_1)
    mu_2, logvar_2 = apply(extra["up"], z_1)
    z_2 = model.sample(key_2, mu_2, logvar_2)
    nll = model.likelihood.nll(batch, model.decode(params, z_1, batch))
    log_p = -losses.gaussian_nll(z_1, *apply(extra["down"], z_2))
    log_q = -losses.gaussian_nll(z_1, mu_1, logvar_1)
    return nll, log_q - log_p, (z_2, mu_2, logvar_2)


def loss(model, params, batch, key) -> tuple[Scalar, dict[str, Scalar]]:
    nll, kl_1, (_, mu_2, logvar_2) = _draw(model, params, batch, key)
    kl_2 = losses.gaussian_kl(mu_2[..., None], logvar_2[..., None])  # (B, Z)
    mean_2 = kl_2.sum(-1).mean()
    metrics = {"nll": nll.mean(), "kl": kl_1.mean() + mean_2, "kl_2": mean_2}
    return nll.mean() + model.kl(kl_1) + model.kl(kl_2), metrics


def prior(model, params, key, n, y, **hp) -> Float[Array, "{n} Z"]:
    apply = model.mlp((), 2, latent_in=True, latent_out=True)[1]
    key_1, key_2 = jax.random.split(key)
    return model.sample(key_1, *apply(params["extra"]["down"], model.noise(key_2, n)))


def log_weight(model, params, batch, key, **hp) -> Float[Array, " B"]:
    nll, kl_1, second = _draw(model, params, batch, key)
    return losses.log_weight(nll + kl_1, *second)  # (B,)
