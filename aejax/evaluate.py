"""The PCA baseline, and statistics over seeds. NumPy only."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config as configs
from aejax import group as groups
from aejax import lane as lanes
from aejax import source as sources

_FIXED = ("lane", "epoch", "step", "split", "diverged")
_FIRST = ("loss", "nll", "mse", "psnr", "kl")
_EXACT = 4096  # data size up to which the covariance is diagonalised exactly
_MOST = 150_000_000  # numbers that PCA is fitted to: all of CIFAR-10, 0.6 GB


def psnr(mse: float, peak: float) -> float:
    """Peak signal-to-noise ratio of an mse, in dB: 10 log10(peak² / mse)."""
    if not 0 < mse < math.inf:
        return -math.inf if mse else math.inf
    return 10.0 * math.log10(peak**2 / mse)


def peak(source: sources.Source) -> float:
    """The range of the data in data units: 1 for images, max - min for float data."""
    if source.held_scale != 1 or source.held.x.dtype == np.uint8:
        return 1.0
    return float(source.held.x.max() - source.held.x.min()) or 1.0


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
    """Test mse of PCA fitted on the training split, for each number of components.

    Exact up to 4,096 data elements (eigenvectors of the covariance); above, the
    randomised solver of scikit-learn. Of a large training split every n-th example.

    Args:
      source: data; ``mse`` is the mean over data elements in squared data units.
      dims: numbers of components; those above the data size count as that size.
      binarized: training data are drawn from Bernoulli(x).

    Returns:
      {k: mse}.
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


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean and its 95 % Student-t interval over seeds; no interval for one value."""
    from scipy import special

    values = np.asarray(values, np.float64)
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, None, None
    half = special.stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)
    return mean, mean - half, mean + half


def metric_columns(planned: Sequence[groups.Group]) -> list[str]:
    """Names of all metrics of a run, the common ones first.

    Raises:
      InputError: an objective gives a metric the name of another column.
    """
    names = {n for g in planned for n in g.metric_names()} | {"psnr"}
    if taken := {*planned[0].lanes[0].columns, *_FIXED} & names:
        raise configs.InputError(
            f"an objective reports a metric named {', '.join(sorted(taken))}, which is "
            "a column of the rows already; give the metric another name"
        )
    first = [n for n in _FIRST if n in names]
    return first + sorted(names - set(first))


def rows(
    group: groups.Group,
    names: Sequence[str],
    metrics: np.ndarray,
    diverged: np.ndarray,
    *,
    step: int,
    splits: Sequence[str],
    every: Sequence[str],
) -> list[dict[str, Any]]:
    """Rows of results.jsonl for one evaluation of a group.

    Args:
      group: whose lanes.
      names: of the metrics in ``metrics``.
      metrics: (lanes, 3, M).
      diverged: (lanes,) bool; metrics of such a lane are None.
      step: of the evaluation.
      splits: those evaluated; one without examples gives no row.
      every: metric columns of the whole run, None where the group has none.
    """
    top, out = peak(group.source), []
    for position, lane in enumerate(group.lanes):
        for split in splits:
            at = lanes.SPLITS.index(split)
            if not group.source.lengths[at]:
                continue
            found = dict(zip(names, metrics[position, at].tolist(), strict=True))
            # The step before may have been the first that was too large.
            good = math.isfinite(found["loss"]) and math.isfinite(found["mse"])
            lost = bool(diverged[position]) or not good
            found["psnr"] = psnr(found["mse"], top)
            where = {"lane": lane.index, "epoch": step // group.epoch_steps}
            values = {n: None if lost else _json_number(found.get(n)) for n in every}
            where |= {"step": step, "split": split} | values | {"diverged": lost}
            out.append(lane.columns | where)
    return out


def _json_number(value: float | None) -> float | None:
    """9 significant digits name a float32; what is not finite is None."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def summary(
    rows: Sequence[Mapping[str, Any]],
    axes: Sequence[str],
    metrics: Sequence[str],
    parameters: Mapping[int, int],
) -> list[dict[str, Any]]:
    """Final test metrics per setting, over seeds.

    Args:
      rows: as in results.jsonl; those of split "test" count.
      axes: names of the axis columns; "seed" is what is averaged over.
      metrics: names of the metric columns.
      parameters: effective parameters by lane.

    Returns:
      One dict per setting: axis columns without seed, ``n_seeds`` that did not
      diverge, ``diverged``, ``parameters``, and ``<metric>_mean, _low, _high``.
    """
    keys = [a for a in axes if a != "seed"]
    settings: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["split"] == "test":
            settings.setdefault(tuple(row[k] for k in keys), []).append(row)
    out = []
    for values, members in settings.items():
        good = [r for r in members if not r["diverged"]]
        line = dict(zip(keys, values, strict=True)) | {
            "n_seeds": len(good),
            "diverged": len(members) - len(good),
            "parameters": parameters[members[0]["lane"]],
        }
        for metric in metrics:
            found = [r[metric] for r in good if r.get(metric) is not None]
            stats = interval(found) if found else (None, None, None)
            ends = zip(("mean", "low", "high"), stats, strict=True)
            line |= {f"{metric}_{end}": value for end, value in ends}
        out.append(line)
    return out


def baseline(
    planned: Sequence[groups.Group], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Lines of the summary for PCA, one per data set, binarisation and latent_dim.

    Sequences of unequal length have none: PCA would be scored on their padding.
    """
    wanted: dict[tuple, list[groups.Group]] = {}
    for group in planned:
        first = group.lanes[0].config
        if group.source.held.length is None:
            wanted.setdefault((first.dataset, first.binarize), []).append(group)
    lines = []
    for same in wanted.values():
        group = same[0]
        dims = sorted({m.config.latent_dim for g in same for m in g.lanes})
        size = math.prod(group.source.train.x.shape[1:])
        top = peak(group.source)
        for k, error in pca_mse(group.source, dims, group.recipe.binarize).items():
            own = {n: group.lanes[0].columns[n] for n in ("dataset", "binarize")}
            own |= {"objective": "pca", "latent_dim": k, "n_seeds": 1, "diverged": 0}
            own |= {"parameters": (min(k, size) + 1) * size, "mse_mean": error}
            lines.append(dict.fromkeys(columns) | own | {"psnr_mean": psnr(error, top)})
    return lines
