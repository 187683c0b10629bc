"""Importance-sampled log p(x) of models that define one.

Burda et al., Importance Weighted Autoencoders, ICLR 2016, eq. 8.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import config as configs


class Likelihood(NamedTuple):
    """Importance-sampled estimate of log p(x), each field (N,).

    Attributes:
      nll: -log p(x), nats; its expectation is an upper bound (Burda et al., 2016).
      error: standard error of nll over the draws, by the delta method; of no meaning
        (0) for a single draw.
      ess: effective sample size of the weights, 1 … samples (Kong, 1992).
    """

    nll: np.ndarray
    error: np.ndarray
    ess: np.ndarray


def is_likelihood(model: Any, x: np.ndarray) -> bool:
    """Whether the model's p(x|z) is a density or a probability of such data.

    A Bernoulli is none of values between 0 and 1, whose nll is a cross-entropy.
    """
    return model.model.likelihood.support != "binary" or bool(np.isin(x, (0, 1)).all())


def log_likelihood(
    model: Any,
    x: Any,
    y=None,
    length=None,
    *,
    key: Array,
    samples: int = 1000,
    grey: bool = False,
) -> Likelihood:
    """log p(x) ≈ log 1/K Σ p(x, z) / q(z|x), one draw z ~ q(z|x) at a time.

    Burda et al., ICLR 2016, eq. 8. A streaming log-sum-exp on the device: memory does
    not grow with ``samples``, the draws per example. x, y and length are as
    ``Autoencoder.encode`` takes them. Where p(x|z) is Bernoulli and x are ``grey``,
    which has to be said, the result is no log p(x), but may still rank examples.

    Raises:
      InputError: the objective has no likelihood (no ``log_weight``), or K < 1; values
        other than 0 and 1 under a Bernoulli likelihood.
    """
    name = model.config.objective
    if not model.has_likelihood:
        raise configs.InputError(
            f"objective '{name}' has no log_weight: it defines no likelihood of x"
        )
    if samples < 1:
        raise configs.InputError(f"samples is {samples}; it must be at least 1")
    batch = model.batch(x, y, length)
    if not grey and not is_likelihood(model, batch.x):
        raise configs.InputError(
            "likelihood 'bernoulli' gives log p(x) of values 0 and 1 only, but x has "
            "others: their nll is a cross-entropy, tens of nats below any -log p(x). "
            "Train with --binarize dynamic or threshold and give binary x, or with "
            "--likelihood continuous_bernoulli; of levels stored as uint8 also with "
            "discretized_logistic or categorical; grey=True gives the cross-entropy's "
            "bound all the same"
        )
    first = lambda start: (jax.random.fold_in(key, start), np.int32(samples))  # noqa: E731
    return model.apply("log_likelihood", batch, extra=first)


def streamed(log_weight: Any, key: Array, samples: Array | int, size: int):
    """Likelihood of one batch of ``size``, inside a program; samples may be traced.

    ``log_weight``: key -> (B,) log p(x, z) - log q(z|x) of one draw.
    """
    chunk = max(1, 8192 // size)  # rows decoded at once: matmuls large, memory small

    def body(i, carry):
        top, total, square = carry
        draws = jax.vmap(log_weight)(
            jax.random.split(jax.random.fold_in(key, i), chunk)
        )
        counts = i * chunk + jnp.arange(chunk) < samples
        draws = jnp.where(counts[:, None], draws, -jnp.inf)  # (chunk, B)
        new = jnp.maximum(top, draws.max(0))
        shrink, weights = jnp.exp(top - new), jnp.exp(draws - new[None])
        total = total * shrink + weights.sum(0)
        return new, total, square * shrink**2 + jnp.square(weights).sum(0)

    low, zero = jnp.full(size, -1e30), jnp.zeros(size)
    chunks = -(-samples // chunk)
    top, total, square = jax.lax.fori_loop(0, chunks, body, (low, zero, zero))
    ess = jnp.square(total) / square
    error = jnp.sqrt(jnp.maximum(1 / ess - 1 / samples, 0.0))
    return Likelihood(jnp.log(samples) - top - jnp.log(total), error, ess)
