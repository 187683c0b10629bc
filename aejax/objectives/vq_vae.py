"""VQ-VAE. van den Oord et al., NeurIPS 2017, eq. 3, with its EMA codebook (appendix A).

The code is latent_dim slots, each one of ``num_codes`` vectors of ``code_dim`` numbers:
the nearest to what the encoder gives, whose gradient passes straight through.
loss = -log p(x|z) + commitment · Σ_slots ‖e - sg(z)‖². A vector that hardly any slot
uses is put onto a random encoder output (Łańcucki et al., 2020). The prior draws each
slot on its own, from how often it used each vector of late.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Scalar

static = ("num_codes", "code_dim")
ranges = {
    "num_codes": (2, float("inf")),
    "code_dim": (1, float("inf")),
    "commitment": (0.0, float("inf")),
    "decay": (0.0, 0.9999),
}
DEAD = 0.03  # of the usage that all vectors would have if they were used equally


def heads(code_dim, **hp):
    return code_dim


inputs = heads


def _encode(model, params, batch) -> Float[Array, "B Z C"]:
    """0 in padded slots."""
    out = model.encode(params, batch)
    return jnp.stack(out if isinstance(out, tuple) else (out,), axis=-1)


def nearest(e: Float[Array, "*B C"], codebook: Float[Array, "K C"]) -> Int[Array, "*B"]:
    """Ids of the vectors nearest to e."""
    products = e @ codebook.T  # ‖e‖² is the same for all of them
    norms = jnp.broadcast_to(jnp.square(codebook).sum(-1), products.shape)
    return jnp.argmin(norms - 2.0 * products, axis=-1)


def _pick(model, key, e: Float[Array, "B Z C"], count) -> Float[Array, "{count} C"]:
    """Encoder outputs of random examples and slots in use."""
    key_row, key_slot = jax.random.split(key)
    row = jax.random.randint(key_row, (count,), 0, len(e))
    u = jax.random.uniform(key_slot, (count,))
    return e[row, jnp.floor(u * model.latent_mask.sum()).astype(jnp.int32)]


def init(model, net, batch, key, *, num_codes, **hp):
    key_pick, key_noise = jax.random.split(key)
    picked = _pick(model, key_pick, _encode(model, {"net": net}, batch), num_codes)
    codebook = picked + 1e-2 * jax.random.normal(key_noise, picked.shape)
    counts = jnp.ones(num_codes)
    usage = jnp.ones((1, num_codes)) * model.latent_mask.T  # (Z, K)
    state = {"codebook": codebook, "counts": counts, "sums": codebook}
    return {"state": state | {"latent_usage": usage}}


def _tuple(z: Float[Array, "B Z C"]) -> tuple[Float[Array, "B Z"], ...]:
    return tuple(z[..., i] for i in range(z.shape[-1]))


def code(model, params, batch, **hp) -> tuple[Float[Array, "B Z"], ...]:
    codebook = params["state"]["codebook"]
    z = codebook[nearest(_encode(model, params, batch), codebook)]  # (B, Z, C)
    return _tuple(z * model.latent_mask[..., None])


def loss(
    model, params, batch, key, *, num_codes=64, code_dim=4, commitment=0.25, decay=0.99
) -> tuple[Scalar, dict[str, Scalar], dict[str, Array]]:
    del code_dim
    stop, state = jax.lax.stop_gradient, params["state"]
    mask = model.latent_mask[..., None]  # (1, Z, 1)
    e = _encode(model, params, batch)  # (B, Z, C)
    ids = nearest(stop(e), state["codebook"])  # (B, Z)
    z = state["codebook"][ids] * mask
    straight = _tuple(e + stop(z - e))
    nll = model.likelihood.nll(batch, model.decode(params, straight, batch)).mean()
    distance = jnp.square(e - stop(z)).sum((1, 2)).mean()

    used = jax.nn.one_hot(ids, num_codes) * mask  # (B, Z, K)
    counts, sums = used.sum((0, 1)), jnp.einsum("bzk,bzc->kc", used, stop(e))
    share = counts / counts.sum()
    perplexity = jnp.exp(-jnp.where(share > 0, share * jnp.log(share), 0.0).sum())
    ema = decay * state["counts"] + (1.0 - decay) * counts
    ema_sums = decay * state["sums"] + (1.0 - decay) * sums
    dead = ema < DEAD * ema.mean()
    fresh = _pick(model, key, stop(e), num_codes)
    ema_sums = jnp.where(dead[:, None], fresh * ema.mean(), ema_sums)
    ema = jnp.where(dead, ema.mean(), ema)
    usage = decay * state["latent_usage"] + (1.0 - decay) * used.sum(0)
    new = {"codebook": ema_sums / ema[:, None], "counts": ema, "sums": ema_sums}
    new |= {"latent_usage": usage}
    metrics = {"nll": nll, "distance": distance, "perplexity": perplexity}
    return nll + commitment * distance, metrics, new


def prior(model, params, key, n, y, **hp) -> tuple[Float[Array, "{n} Z"], ...]:
    state = params["state"]
    usage = jnp.log(state["latent_usage"] + 1e-9)[:, None]  # (Z, 1, K)
    ids = jax.random.categorical(key, usage, shape=(len(usage), n)).T
    return _tuple(state["codebook"][ids] * model.latent_mask[..., None])
