"""The PCA baseline: its test error at every number of components, exactly."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from aejax.evaluate import metrics
from aejax.training import source as sources

_EXACT = 4096  # data size up to which PCA is exact
_MOST = 150_000_000  # numbers that PCA is fitted to: all of CIFAR-10, 0.6 GB


def _training_blocks(source: sources.Source) -> Iterator[np.ndarray]:
    """(b, D) float64 training examples, evenly over the split, which may be sorted."""
    x, rng = source.dataset.train.x, np.random.default_rng(0)
    x = x[:: -(-x.size // _MOST)]
    for block in _blocks(x):
        if source.threshold is not None:
            block = (block >= source.threshold).astype(np.float64)
        else:
            block /= source.spec.scale
        if source.binarize == "dynamic":  # drawn once
            block = sources.bernoulli(rng, block).astype(np.float64)
        yield block


def training_mean(source: sources.Source) -> np.ndarray:
    """(*S,) float64 mean of the training split in data units, of what is observed."""
    spec, total, count = source.spec, np.zeros(source.spec.shape), 0
    for number in range(spec.blocks):
        x = source.block(number).x
        total += np.nansum(x, 0, dtype=np.float64)
        count = count + (~np.isnan(x)).sum(0) if spec.missing else count + len(x)
    return total / np.maximum(count, 1) / spec.scales(source.binarize)[0]


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """The rows in order, flat and in float64: twice D of them, or a million numbers."""
    size = math.prod(x.shape[1:])
    rows = max(2 * size, 2**20 // size)
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        yield block.reshape(len(block), size).astype(np.float64)


def _components(source: sources.Source, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) of the training data and their first principal axes (limit, D).

    Through a QR decomposition, block by block: the covariance would square the ratio
    of the largest spread to the smallest, and lose the latter.
    """
    total, n, known = np.zeros(math.prod(source.spec.shape)), 0, 0
    for block in _training_blocks(source):
        total, n = total + np.nansum(block, 0), n + len(block)
        known = known + (~np.isnan(block)).sum(0)
    mean = total / np.maximum(known, 1)
    # The mean of a column stands in for what is missing in it.
    centred = (np.nan_to_num(block - mean) for block in _training_blocks(source))
    if mean.size <= _EXACT:
        r = np.zeros((0, mean.size))
        for block in centred:
            r = np.linalg.qr(np.concatenate([r, block]), mode="r")
        _, spread, axes = np.linalg.svd(r, full_matrices=False)
        # What n examples, less their mean, do not span is rounding.
        known = spread > spread[0] * max(r.shape) * np.finfo(float).eps
        return mean, axes[known & (np.arange(len(axes)) < n - 1)][:limit]
    from sklearn import decomposition

    x = np.concatenate([block.astype(np.float32) for block in centred])
    x /= np.abs(x).max() or 1  # its squares have to be float32 too
    limit = min(limit, *x.shape)
    fit = decomposition.PCA(limit, svd_solver="randomized", random_state=0).fit(x)
    return mean, fit.components_.astype(np.float64)


def _weight(rest: np.ndarray, where: np.ndarray | None) -> np.ndarray | float:
    """How much each of (b, D) counts, so that the mean is one over examples of the mean
    over those of their elements that count."""
    counts = ~np.isnan(rest)
    if where is not None:
        counts = counts & where
    if counts.all():
        return 1.0
    return counts * rest.shape[1] / np.maximum(counts.sum(1, keepdims=True), 1)


def pca_mse(
    source: sources.Source, dims: Sequence[int], where: np.ndarray | None = None
) -> dict[int, float | None]:
    """{k: test mse} of PCA with these numbers of components, fitted on train; None
    where some elements are too small beside others for float64.

    Mean of (d - V_k V_k' d)² over data elements in squared data units, d a centred test
    example, in float64 and to 9 digits, which do not depend on the number of threads.
    Exact up to 4,096 data elements; above, the components are those of scikit-learn's
    randomised solver in float32. Of a large training split every n-th example. k above
    the data size or the number of examples counts as that. Binarised training data are
    so here, too. Means of columns stand in for what is missing, and its error does not
    count; nor does that of elements that are not in ``where`` (D,).
    """
    mean, axes = _components(source, max(dims))
    test = source.evaluated.x[sum(source.spec.lengths[:2]) :]
    total, left = 0.0, dict.fromkeys(sorted(dims), 0.0)  # of each data element
    for block in _blocks(test):
        rest, before = block / source.spec.scales(source.binarize)[1] - mean, 0
        weight, rest = _weight(rest, where), np.nan_to_num(rest)
        total = total + (np.square(rest) * weight).sum(0)
        for k in left:  # what the last k has left, without the next components
            new = axes[before:k]
            rest, before = rest - rest @ new.T @ new, k
            left[k] = left[k] + (np.square(rest) * weight).sum(0)
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
        out[k] = None if unknown else metrics.rounded(error)
    return {k: out[k] for k in dims}
