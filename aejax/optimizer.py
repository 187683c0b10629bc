"""The optimiser of one lane, rebuilt at each step from traced numbers (free in jit)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array


def schedule(name: str, step: Array | int, steps: int, warmup: Array | int) -> Array:
    """Factor on the learning rate at a step.

    ``cosine`` falls to 0 over all steps (Loshchilov & Hutter, ICLR 2017). ``piecewise``
    is Burda et al. (ICLR 2016): stage i = 1…8 takes 3^(i-1)/3280 of the steps at
    round(10^(1-(i-1)/7), 1)/10 of the peak. ``warmup`` steps of linear rise come first.
    """
    at = jnp.asarray(step) / max(steps, 1)
    factor = jnp.ones(())
    if name == "cosine":
        factor = 0.5 * (1.0 + jnp.cos(jnp.pi * at))
    elif name == "piecewise":
        stages = np.arange(8)
        # Whole steps: at 3,280 epochs' worth of them exactly the paper's.
        ends = np.ceil(np.cumsum(3.0**stages) / 3280 * steps - 1e-6)
        rates = jnp.asarray(np.round(10 ** (1 - stages / 7), 1) / 10, jnp.float32)
        factor = rates[jnp.sum(step >= jnp.asarray(ends[:-1], jnp.int32))]
    return factor * jnp.minimum(1.0, (step + 1) / jnp.maximum(warmup, 1))


def build(
    name: str, lane: Any, rate: Array, clip: bool, decay: bool
) -> optax.GradientTransformation:
    """clip, then Adam or momentum, then decoupled decay, all times -rate.

    ``lane`` has traced clip_norm, beta1, beta2, eps, weight_decay; ``rate`` is this
    step's; ``clip`` and ``decay`` say whether any lane of the program does so.
    """
    parts = []
    if clip:  # 0 means off, in a lane whose neighbours clip
        limit = jnp.where(lane["clip_norm"] > 0, lane["clip_norm"], jnp.inf)
        parts.append(optax.clip_by_global_norm(limit))
    if name == "sgd":
        parts.append(optax.trace(decay=lane["beta1"]))
    else:
        parts.append(optax.scale_by_adam(lane["beta1"], lane["beta2"], lane["eps"]))
    if decay:
        parts.append(optax.add_decayed_weights(lane["weight_decay"]))
    return optax.chain(*parts, optax.scale(-rate))
