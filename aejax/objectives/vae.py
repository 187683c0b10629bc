"""VAE. Kingma & Welling, ICLR 2014, eq. 10.   loss = E_q[-log p(x|z)] + KL(q || p)"""

from aejax import losses


def loss(model, params, batch, key):
    mu, logvar = model.encode(params, batch)  # (B, Z), (B, Z)
    z = model.sample(key, mu, logvar)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))  # (B,)
    kl = losses.gaussian_kl(mu, logvar)  # (B,)
    return (nll + kl).mean(), {"nll": nll.mean(), "kl": kl.mean()}


def log_weight(model, params, batch, key):
    return model.log_weight(params, batch, key)


digits = {"latent_dim": 8}, "loss", 23.69, 0.5
