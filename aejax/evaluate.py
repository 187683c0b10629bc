"""What a trained model is measured by, beside its own loss; the PCA baseline."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import config as configs
from aejax import group as groups
from aejax import source as sources

_EXACT = 4096  # data size up to which PCA is exact
_MOST = 150_000_000  # numbers that PCA is fitted to: all of CIFAR-10, 0.6 GB


def psnr(mse: float, peak: float) -> float:
    """Peak signal-to-noise ratio of an mse, in dB: 10 log10(peak² / mse)."""
    if not 0 < mse < math.inf:
        return -math.inf if mse else math.inf
    return 10.0 * math.log10(peak**2 / mse)


def rounded(value: float | None) -> float | None:
    """9 significant digits name a float32; what is not finite is None."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def _training_blocks(source: sources.Source, binarized: bool) -> Iterator[np.ndarray]:
    """(b, D) float64 training examples, evenly over the split, which may be sorted."""
    x, draws = source.train.x, np.random.default_rng(0)
    x = x[:: -(-x.size // _MOST)]
    for block in _blocks(x):
        if source.threshold is not None:
            block = (block >= source.threshold).astype(np.float64)
        block /= source.scale
        if binarized:  # drawn once
            block = (draws.random(block.shape, np.float32) < block).astype(np.float64)
        yield block


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """The rows in order, flat and in float64: twice D of them, or a million numbers."""
    size = math.prod(x.shape[1:])
    rows = max(2 * size, 2**20 // size)
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        yield block.reshape(len(block), size).astype(np.float64)


def _components(
    source: sources.Source, binarized: bool, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) of the training data and their first principal axes (most, D).

    Through a QR decomposition, block by block: the covariance would square the ratio
    of the largest spread to the smallest, and lose the latter.
    """
    total, n = np.zeros(math.prod(source.train.x.shape[1:])), 0
    for block in _training_blocks(source, binarized):
        total, n = total + block.sum(0), n + len(block)
    mean = total / n
    centred = (block - mean for block in _training_blocks(source, binarized))
    if mean.size <= _EXACT:
        r = np.zeros((0, mean.size))
        for block in centred:
            r = np.linalg.qr(np.concatenate([r, block]), mode="r")
        _, spread, axes = np.linalg.svd(r, full_matrices=False)
        # What n examples, less their mean, do not span is rounding.
        known = spread > spread[0] * max(r.shape) * np.finfo(float).eps
        return mean, axes[known & (np.arange(len(axes)) < n - 1)][:most]
    from sklearn import decomposition

    x = np.concatenate([block.astype(np.float32) for block in centred])
    x /= np.abs(x).max() or 1  # its squares have to be float32 too
    most = min(most, *x.shape)
    fit = decomposition.PCA(most, svd_solver="randomized", random_state=0).fit(x)
    return mean, fit.components_.astype(np.float64)


def pca_mse(
    source: sources.Source, dims: Sequence[int], binarized: bool = False
) -> dict[int, float | None]:
    """{k: test mse} of PCA with these numbers of components, fitted on train; None
    where some elements are too small beside others for float64.

    Mean of (d - V_k V_k' d)² over data elements in squared data units, d a centred test
    example, in float64 and to 9 digits, which do not depend on the number of threads.
    Exact up to 4,096 data elements; above, the components are those of scikit-learn's
    randomised solver in float32. Of a large training split every n-th example. k above
    the data size or the number of examples counts as that. ``binarized`` training data
    are drawn from Bernoulli(x).
    """
    mean, axes = _components(source, binarized, max(dims))
    test = source.held.x[source.lengths[0] + source.lengths[1] :]
    total, left = 0.0, dict.fromkeys(sorted(dims), 0.0)  # of each data element
    for block in _blocks(test):
        rest, before = block / source.held_scale - mean, 0
        total = total + np.square(rest).sum(0)
        for k in left:  # what the last k has left, without the next components
            new = axes[before:k]
            rest, before = rest - rest @ new.T @ new, k
            left[k] = left[k] + np.square(rest).sum(0)
    size = test.size or 1
    # Below that it is what rounding has left of 0; or of an element that another one,
    # more than 1e15 times as large, drowns: then nobody knows.
    noise = 1e-31 * np.sum(total)
    least = 1e-24 * (total + len(test) * np.square(mean))
    out: dict[int, float | None] = {}
    for k, some in left.items():
        drowned = (some < noise) & (some > 1e-12 * total) & (total > least)
        zero = some < np.maximum(least, noise)
        error = np.sum(np.where(zero, 0, some)) / size
        unknown = np.any(drowned) and k < np.size(mean)
        out[k] = None if unknown else rounded(error)
    return {k: out[k] for k in dims}


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
            own["psnr_mean"] = None if error is None else rounded(psnr(error, top))
            lines.append(dict.fromkeys(columns) | own)
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
            "--likelihood continuous_bernoulli; of levels stored as uint8 also with "
            "discretized_logistic or categorical; grey=True gives the cross-entropy's "
            "bound all the same"
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
