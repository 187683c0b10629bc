"""Autoencoder. Hinton & Salakhutdinov, Science 2006.   loss = -log p(x | z = f(x))"""

heads = 1
prior = None


def loss(model, params, batch, key):
    del key
    z = model.encode(params, batch)  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch))  # (B,)
    return nll.mean(), {"nll": nll.mean()}


digits = {"latent_dim": 8}, "mse", 0.0121, 0.0006
