"""Rows of one evaluation, and the summary over seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config as configs
from aejax import evaluate
from aejax import group as groups
from aejax import lane as lanes

_FIXED = ("lane", "epoch", "step", "split", "diverged")
_FIRST = ("loss", "nll", "mse", "psnr", "kl")
_POSITIVE = ("mse", "kl")  # how the names of metrics start that are never below 0


def interval(values: Any, positive: bool = False) -> tuple[Any, Any, Any]:
    """Mean over the first axis and its 95 % Student-t interval, or None for one value.

    A ``positive`` quantity has it on a log scale, mean · exp(± t se / mean): the delta
    method for the log of the mean. It holds the mean, stays above 0, and is the plain
    interval where that is narrow. Values that are not all above 0 have the plain one.
    """
    from scipy import special

    values = np.asarray(values, np.float64)
    mean, n = values.mean(0), len(values)
    if n < 2:
        return mean.tolist(), None, None
    half = special.stdtrit(n - 1, 0.975) * values.std(0, ddof=1) / math.sqrt(n)
    ends = mean - half, mean + half
    if positive and (values > 0).all():
        ends = mean * np.exp(-half / mean), mean * np.exp(half / mean)
    return tuple(a.tolist() for a in (mean, *ends))


def metric_columns(planned: Sequence[groups.Group]) -> list[str]:
    """Names of all metrics of a run, the common ones first.

    Raises:
      InputError: an objective gives a metric the name of another column.
    """
    names = {n for g in planned for n in g.metrics} | {"psnr"}
    names |= {"bits_per_dim" for g in planned if g.counts_bits & ("kl" in g.metrics)}
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
    """Rows of results.jsonl for one evaluation of a group, at this step.

    metrics (lanes, 3, M) go by ``names``; ``every`` are the columns of the whole run,
    None where the group has none and in lanes that have diverged. A split without
    examples gives no row.
    """
    top, out = group.source.peak, []
    size = math.prod(group.source.train.x.shape[1:])
    for position, lane in enumerate(group.lanes):
        for split in splits:
            at = lanes.SPLITS.index(split)
            if not group.source.lengths[at]:
                continue
            found = dict(zip(names, metrics[position, at].tolist(), strict=True))
            # The step before may have been the first that was too large.
            good = math.isfinite(found["loss"]) and math.isfinite(found["mse"])
            lost = bool(diverged[position]) or not good
            found["psnr"] = evaluate.psnr(found["mse"], top)
            if group.counts_bits and "neg_elbo" in found:
                bits = evaluate.bits_per_dim(found["neg_elbo"], size)
                found.setdefault("bits_per_dim", bits)
            where = {"lane": lane.index, "epoch": step // group.recipe.epoch_steps}
            values = {
                n: None if lost else evaluate.rounded(found.get(n)) for n in every
            }
            where |= {"step": step, "split": split} | values | {"diverged": lost}
            out.append(lane.columns | where)
    return out


def summary(
    rows: Sequence[Mapping[str, Any]],
    axes: Sequence[str],
    metrics: Sequence[str],
    parameters: Mapping[int, int],
) -> list[dict[str, Any]]:
    """Final test metrics per setting, over seeds, from rows as in results.jsonl.

    Of rows as in results.jsonl those of split "test" count. One dict per setting: the
    axis columns without seed, ``n_seeds`` that did not diverge, ``diverged``,
    ``parameters`` (given by lane), and ``<metric>_mean, _low, _high``.
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
            positive = metric.startswith(_POSITIVE)
            stats = interval(found, positive) if found else (None, None, None)
            ends = zip(("mean", "low", "high"), stats, strict=True)
            line |= {f"{metric}_{end}": value for end, value in ends}
        out.append(line)
    return out
