"""The optimiser of a member, rebuilt at each step from traced numbers: free in jit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

WEIGHTS = ("kernel", "recurrent", "decode_output")  # of layers, and of recurrent's
RATE = 0.05  # of the scales of a likelihood: averages over some forty batches


def schedule(name: str, step: Array | int, steps: int, warmup: Array | int) -> Array:
    """Factor on the learning rate at a step.

    ``cosine`` falls to 0 over all steps (Loshchilov & Hutter, ICLR 2017). ``piecewise``
    is Burda et al. (ICLR 2016): stage i = 1…8 takes 3^(i-1)/3280 of the steps at
    round(10^(1-(i-1)/7), 1)/10 of the peak. ``warmup`` steps of linear rise come first.
    """
    progress = jnp.asarray(step) / max(steps, 1)
    factor = jnp.ones(())
    if name == "cosine":
        factor = 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
    elif name == "piecewise":
        stages = np.arange(8)
        # Whole steps: at 3,280 epochs' worth of them exactly the paper's.
        ends = np.ceil(np.cumsum(3.0**stages) / 3280 * steps - 1e-6)
        rates = jnp.asarray(np.round(10 ** (1 - stages / 7), 1) / 10, jnp.float32)
        factor = rates[jnp.sum(step >= jnp.asarray(ends[:-1], jnp.int32))]
    return factor * jnp.minimum(1.0, (step + 1) / jnp.maximum(warmup, 1))


def build(
    name: str,
    hparams: Any,
    rate: Array,
    clip: bool,
    decay: bool,
    information: Callable | None = None,
) -> optax.GradientTransformation:
    """clip, then Adam or momentum, then decoupled decay, all times -rate.

    ``hparams`` are traced clip_norm, beta1, beta2, eps, weight_decay; ``rate`` is this
    step's; ``clip`` and ``decay`` say whether any member of the program does so. What a
    likelihood shares among data elements, whose Fisher ``information`` in one example
    is given, follows ``natural`` instead.
    """
    parts = []
    if clip:  # 0 means off, in a member whose neighbours clip
        limit = jnp.where(hparams["clip_norm"] > 0, hparams["clip_norm"], jnp.inf)
        parts.append(optax.clip_by_global_norm(limit))
    if name == "sgd":
        parts.append(optax.trace(decay=hparams["beta1"]))
    else:
        parts.append(
            optax.scale_by_adam(hparams["beta1"], hparams["beta2"], hparams["eps"])
        )
    if decay:
        parts.append(optax.add_decayed_weights(hparams["weight_decay"], is_weight))
    tx = optax.chain(*parts, optax.scale(-rate))
    if information is None:
        return tx
    return optax.partition({"rest": tx, "shared": natural(information)}, _labels)


def is_weight(params: Any) -> Any:
    """Tree of bools: the arrays that are decayed, by how their names end (WEIGHTS).

    Biases, scales, embeddings, prior tables and pseudo-inputs are no weights: to pull
    them towards 0 would say something of the data.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, _: _name(path).endswith(WEIGHTS), params
    )


def natural(information: Callable) -> optax.GradientTransformation:
    """Natural gradients of logarithms of scales, at a rate of their own (RATE).

    Amari, Neural Computation 1998. Of log σ² of a Gaussian a step makes σ² its moving
    average with the batch's mean squared error, the optimum of σ-VAE (Rybkin et al.,
    ICML 2021), whatever the schedule of the network's rate: Adam would move log σ² by
    that rate at most, and by nothing when the schedule has ended.
    """

    def step(gradient: Array, value: Array) -> Array:
        excess = jnp.clip(-gradient / information(value), -1.0, 1.0 / RATE)
        return jnp.log1p(RATE * excess)

    return optax.stateless(lambda grads, params: jax.tree.map(step, grads, params))


def _labels(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "shared" if _name(path) == "shared" else "rest", params
    )


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path[-1:], simple=True)
