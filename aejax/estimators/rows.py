"""Functions of rows: drawn, scaled, computed in batches of one size, scored."""

import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from aejax import autoencoder, evaluate
from aejax import config as configs
from aejax.data import standard

# Rows computed with at once. Always so many, filled up with zeros: what comes of a row
# depends on no other, which rounding would make it do in batches of other sizes.
ROWS = 512
DRAWS_AT_ONCE = 8192  # rows times importance samples, which a decoder is given together


def parted(X: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, and this share of all, drawn at random, held out.

    None of so few that the share is not half a row.
    """
    order = np.random.default_rng(seed).permutation(len(X))
    count = round(share * len(X))
    return X[order[count:]], X[order[:count]]


def scaled(x: np.ndarray, unit: standard.Standard) -> np.ndarray:
    """x (N, *S) in standard units, float32.

    Raises:
      InputError: numbers that float32 does not have.
    """
    with np.errstate(over="ignore"):
        x = np.float32(unit.forward(x))
    if np.isinf(x).any():
        raise configs.InputError(
            "X has values beyond those of float32, about 3e38; standardize=True, or "
            "give them in another unit"
        )
    return x


def batched(run: Callable, x: np.ndarray) -> Any:
    """``run(x)`` of x (N, …), always of ``ROWS`` at a time; its arrays (N, …)."""
    n = len(x)
    x = np.pad(x, ((0, -n % ROWS), *((0, 0),) * (x.ndim - 1)))
    return jax.tree.map(lambda a: a[:n], run(x))


def scores(
    model: autoencoder.Autoencoder, x: np.ndarray, unit: standard.Standard, draws: int
) -> np.ndarray:
    """(N,) log p(x) in nats, in the units before ``unit``; −mse if there is none.

    By importance sampling with ``draws`` samples, whose noise depends on the row alone;
    −mse is in standard units. Of grey values under a Bernoulli likelihood, which has no
    density, it is the bound of their cross-entropy.

    Raises:
      InputError: values outside the range of the likelihood.
    """
    if not model.has_likelihood:
        error = batched(lambda x: errors(model, x), x)
        return -np.float64(error)
    x = model.batch(x).x
    # Both words of a 64-bit seed would need another key: 32 bits do for noise.
    keys = np.array([zlib.crc32(row.tobytes()) for row in x], np.uint32)
    limit = max(1, DRAWS_AT_ONCE // draws)
    n, pad = len(x), -len(x) % limit
    padded = np.pad(x, ((0, pad), *((0, 0),) * (x.ndim - 1)))
    values = model.apply(
        "rows_log_likelihood",
        np.pad(keys, (0, pad)),
        padded,
        extra=lambda start: (np.zeros(draws, np.int8),),
        limit=limit,
    )[:n]
    spread = np.broadcast_to(np.log(unit.spread), x.shape).reshape(n, -1)
    return np.float64(values) - spread.sum(1, where=~np.isnan(x.reshape(n, -1)))


def errors(model: autoencoder.Autoencoder, x: np.ndarray) -> np.ndarray:
    """(N,) mse of reconstructions, of the values that are there."""
    return evaluate.error(x, model.reconstruct(x))
