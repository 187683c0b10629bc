"""What a trained model is measured by, beside its own loss; the PCA baseline."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import config as configs
from aejax import group as groups
from aejax import source as sources

_EXACT = 4096  # data size up to which the covariance is diagonalised exactly
_MOST = 150_000_000  # numbers that PCA is fitted to: all of CIFAR-10, 0.6 GB


def psnr(mse: float, peak: float) -> float:
    """Peak signal-to-noise ratio of an mse, in dB: 10 log10(peak² / mse)."""
    if not 0 < mse < math.inf:
        return -math.inf if mse else math.inf
    return 10.0 * math.log10(peak**2 / mse)


def _rows(x: np.ndarray, scale: float) -> np.ndarray:
    return np.asarray(x, np.float32).reshape(len(x), -1) / np.float32(scale)


def _training_rows(source: sources.Source, binarized: bool) -> np.ndarray:
    """(n, D) training examples, evenly over the split, which may be sorted."""
    x = source.train.x
    x = x[:: -(-x.size // _MOST)]
    if source.threshold is not None:
        x = x >= source.threshold
    x = _rows(x, source.scale)
    if binarized:  # drawn once
        x = np.random.default_rng(0).random(x.shape, np.float32) < x
    return np.asarray(x, np.float32)


def pca_mse(
    source: sources.Source, dims: Sequence[int], binarized: bool = False
) -> dict[int, float]:
    """{k: test mse} of PCA with these numbers of components, fitted on train.

    Exact up to 4,096 data elements (eigenvectors of the covariance); above, the
    randomised solver of scikit-learn. Of a large training split every n-th example.
    Means over data elements, in squared data units; k above the data size counts as
    that size. ``binarized`` training data are drawn from Bernoulli(x).
    """
    size = math.prod(source.train.x.shape[1:])
    most = min(max(dims), size)
    x = _training_rows(source, binarized)
    mean = x.mean(0, dtype=np.float64)
    x = x - mean.astype(np.float32)  # first: products of large numbers would cancel
    if size <= _EXACT:
        basis = np.linalg.eigh((x.T @ x).astype(np.float64))[1][:, ::-1][:, :most]
    else:
        from sklearn import decomposition

        most = min(most, len(x))
        fit = decomposition.PCA(most, svd_solver="randomized", random_state=0).fit(x)
        basis = fit.components_.T
    start = source.lengths[0] + source.lengths[1]
    test = _rows(source.held.x[start:], source.held_scale) - mean
    kept = np.cumsum(np.square(test @ basis).mean(0))
    left = np.square(test).sum(1).mean() - kept
    return {k: float(max(left[min(k, most) - 1], 0.0) / size) for k in dims}


def baseline(
    planned: Sequence[groups.Group], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Lines of the summary for PCA, one per data set, binarisation and latent_dim.

    Sequences of unequal length have none: PCA would be scored on their padding. Nor
    have symbols, which are right or wrong.
    """
    wanted: dict[tuple, list[groups.Group]] = {}
    for group in planned:
        shared = group.recipe.config.dataset, group.recipe.config.binarize
        symbols = group.recipe.blueprint.likelihood == "symbols"
        if group.source.held.length is None and not symbols:
            wanted.setdefault(shared, []).append(group)
    lines = []
    for (_, binarize), same in wanted.items():
        group = same[0]
        dims = sorted({m.config.latent_dim for g in same for m in g.lanes})
        size = math.prod(group.source.train.x.shape[1:])
        top = group.source.peak
        for k, error in pca_mse(group.source, dims, binarize == "dynamic").items():
            own = {n: group.lanes[0].columns[n] for n in ("dataset", "binarize")}
            own |= {"objective": "pca", "latent_dim": k, "n_seeds": 1, "diverged": 0}
            own |= {"parameters": (min(k, size) + 1) * size, "mse_mean": error}
            lines.append(dict.fromkeys(columns) | own | {"psnr_mean": psnr(error, top)})
    return lines


def truncate(model: Any, x: Any, y=None, length=None, sizes=None) -> dict[int, float]:
    """{j: mse} of reconstructions from the first j code dimensions, the others 0.

    One model's whole bottleneck curve; meant for ordered codes (nested_dropout, PCA),
    and a measure of how unordered others are. x, y and length are as ``Trained.encode``
    takes them; without ``sizes`` j is 1, 2, 3, 4, 6, 8, 12, 16, … k.
    """
    k = model.latent_dim
    steps = [2**i * f // 2 for i in range(k.bit_length()) for f in (2, 3)]
    sizes = sizes or sorted({min(j, k) for j in (*steps, k)})
    batch, z = model.batch(x, y, length), model.encode(x, y, length)
    weights = np.ones_like(batch.x)
    if batch.length is not None:
        weights[np.arange(weights.shape[1])[None] >= batch.length[:, None]] = 0.0
    out = {}
    for j in sizes:
        cut = jax.tree.map(lambda a, j=j: a * (np.arange(k) < j)[None], z)
        error = np.square(batch.x - model.decode(cut, y)) * weights
        flat = error.reshape(len(error), -1).sum(1)
        out[j] = float((flat / weights.reshape(len(error), -1).sum(1)).mean())
    return out


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


def bits_per_dim(nll: Any, size: int) -> Any:
    """nll (nats of an example of ``size`` data elements) as bits per element.

    Of stored levels, which have probabilities; those of a density depend on its unit.
    """
    return nll / (size * math.log(2.0))


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
    ``Trained.encode`` takes them. Where p(x|z) is Bernoulli and x are ``grey``, which
    has to be said, the result is no log p(x), but may still rank examples.

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
            "--likelihood continuous_bernoulli, discretized_logistic or categorical; "
            "grey=True gives the cross-entropy's bound all the same"
        )
    first = lambda at: (jax.random.fold_in(key, at), np.int32(samples))  # noqa: E731
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
