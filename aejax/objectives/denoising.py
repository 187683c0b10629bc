"""Denoising autoencoder. Vincent et al., JMLR 2010, eq. 3.   -log p(x | f(x_tilde))

The clean input is reconstructed from a corrupted one. ``level`` is σ for gaussian, a
share for masking, hide, salt_and_pepper and occlusion, and the factor for downsample,
which makes it super-resolution; ``rescale`` divides what masking keeps by 1 - level.
Of hidden values the encoder knows that they are, of masked ones it sees 0.
``mse_restored`` is the error of corrupted inputs restored, ``mse`` that of clean ones.
"""

import jax.numpy as jnp
from jaxtyping import Scalar

from aejax import corruptions

heads = 1
prior = None
choices = {"corruption": tuple(corruptions.CORRUPTIONS)}


def hides(corruption, **hp):
    return corruption == "hide"


def ranges(corruption, **hp):
    low, high = {
        "gaussian": (0.0, float("inf")),
        "downsample": (1.0, float("inf")),
    }.get(corruption, (0.0, 1.0))
    return {"level": (low, high)}


def loss(
    model, params, batch, key, *, corruption="masking", level=0.3, rescale=False
) -> tuple[Scalar, dict[str, Scalar]]:
    corrupt = corruptions.CORRUPTIONS[corruption]
    extra = {"rescale": True} if rescale and corruption == "masking" else {}
    if corruption == "salt_and_pepper" and model.likelihood.support == "real":
        extra = {"low": jnp.nanmin(batch.x), "high": jnp.nanmax(batch.x)}
    if model.likelihood.missing and corruption != "hide":  # missing values stay so
        known = ~jnp.isnan(batch.x)
        x_tilde = corrupt(key, jnp.where(known, batch.x, 0.0), level, **extra)
        x_tilde = jnp.where(known, x_tilde, jnp.nan)
    else:
        x_tilde = corrupt(key, batch.x, level, **extra)
    z = model.encode(params, batch._replace(x=x_tilde))  # (B, Z)
    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()
    restored = model.decode(params, z, batch._replace(x=None))
    return nll, {"nll": nll, "mse_restored": model.error(batch, restored).mean()}
