"""VAE. Kingma & Welling, ICLR 2014, eq. 10.   loss = E_q[-log p(x|z)] + KL(q || p)"""

from jaxtyping import Array, Float, Scalar

from aejax import losses

kl_control = {"schedule", "free_bits"}


def loss(model, params, batch, key) -> tuple[Scalar, dict[str, Scalar]]:
    mu, logvar = model.encode(params, batch)  # (B, Z), (B, Z)
    z = model.sample(key, mu, logvar)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    kl = losses.gaussian_kl(mu[..., None], logvar[..., None])  # (B, Z)
    return nll + model.kl(kl), {"nll": nll, "kl": kl.sum(-1).mean()}


def log_weight(model, params, batch, key) -> Float[Array, " B"]:
    return model.log_weight(params, batch, key)
