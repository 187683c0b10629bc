"""Rows of one evaluation, and the summary over seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config as configs
from aejax import data as datasets
from aejax.evaluate import metrics as measures
from aejax.evaluate import pca
from aejax.runs import plan as plans
from aejax.training import population as populations

_FIXED = ("member", "epoch", "step", "split", "diverged")
_FIRST = ("loss", "nll", "mse", "psnr", "error_rate", "kl")


def metric_columns(planned: Sequence[populations.Population]) -> list[str]:
    """Names of all metrics of a run, the common ones first.

    Raises:
      InputError: an objective gives a metric the name of another column.
    """
    names = {n for p in planned for n in p.metrics}
    names |= {"psnr"} if "mse" in names else set()
    names |= {"bits_per_dim" for p in planned if counts_bits(p)}
    if taken := {*planned[0].members[0].columns, *_FIXED} & names:
        raise configs.InputError(
            f"an objective reports a metric named {', '.join(sorted(taken))}, which is "
            "a column of the rows already; give the metric another name"
        )
    first = [n for n in _FIRST if n in names]
    return first + sorted(names - set(first))


def counts_bits(population: populations.Population) -> bool:
    """Whether its rows have bits per dimension: of a bound on log p(x) of levels."""
    return population.spec.counts_bits and "neg_elbo" in population.metrics


def rows(
    population: populations.Population,
    metrics: Mapping[str, np.ndarray],
    diverged: np.ndarray,
    *,
    step: int,
    splits: Sequence[str],
    columns: Sequence[str],
) -> list[dict[str, Any]]:
    """Rows of results.jsonl for one evaluation of a population, at this step.

    ``metrics`` are {name: (members, 3)}; ``columns`` those of the whole run, None where
    the population has none and in members that have diverged. A split without examples
    gives no row.
    """
    data, out = population.spec.data, []
    bits, epoch = counts_bits(population), step // population.spec.epoch_steps
    for place, member in enumerate(population.members):
        for split in splits:
            index = datasets.SPLITS.index(split)
            if not data.lengths[index]:
                continue
            values = {n: float(a[place, index]) for n, a in metrics.items()}
            for name, shares in data.counted.items():  # those without count as 0
                if name in values and shares[index]:
                    values[name] /= shares[index]
            # The step before may have been the first that was too large.
            error = values.get("mse", 0.0)
            good = math.isfinite(values["loss"]) and math.isfinite(error)
            lost = bool(diverged[place]) or not good
            if "mse" in values:  # what has no mean has an error_rate
                values["psnr"] = measures.psnr(error, data.peak)
            if bits:
                each = measures.bits_per_dim(values["neg_elbo"], math.prod(data.shape))
                values.setdefault("bits_per_dim", each)
            where = {"member": member.index, "epoch": epoch, "step": step}
            kept = {
                n: None if lost else measures.rounded(values.get(n)) for n in columns
            }
            row = where | {"split": split} | kept | {"diverged": lost}
            out.append(member.columns | row)
    return out


def ordered(
    rows: Sequence[Mapping[str, Any]], planned: Sequence[populations.Population]
) -> list[Mapping[str, Any]]:
    """Rows in the order of a run that nothing interrupts and one process trains."""
    place = {i: p.index for p in planned for i in p.numbers}

    def key(row: Mapping[str, Any]) -> tuple:
        return place[row["member"]], row["split"] == "test", row["step"], row["member"]

    return sorted(rows, key=key)  # of equal ones train comes first, as it is


def tables(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], planned: plans.Plan
) -> list[dict[str, Any]]:
    """The summary of all rows of a run, and PCA."""
    members = [m for p in planned.populations for m in p.members]
    parameters = {m.index: m.parameters for m in members}
    lines = summary(rows, list(members[0].columns), metrics, parameters)
    return lines + baseline(planned, list(lines[0]))


def summary(
    rows: Sequence[Mapping[str, Any]],
    axes: Sequence[str],
    metrics: Sequence[str],
    parameters: Mapping[int, int],
) -> list[dict[str, Any]]:
    """Final test metrics per setting, over seeds.

    Of rows as in results.jsonl those of split "test" count. One dict per setting: the
    axis columns without seed, ``n_seeds`` that did not diverge, ``diverged``,
    ``parameters`` (given by member), and ``<metric>_mean, _low, _high``.
    """
    import pandas as pd  # a second, at a sweep's end; readers do without

    keys = [a for a in axes if a != "seed"]
    columns = [*keys, "member", "diverged", *metrics]
    tests = [r for r in rows if r["split"] == "test"]
    # Objects: an integer stays one where another row has None.
    table = pd.DataFrame(tests, columns=columns, dtype=object)
    out = []
    for _, same in table.groupby(keys, sort=False, dropna=False):
        first, lost = same.iloc[0], same["diverged"].astype(bool)
        line = first[keys].to_dict()
        line |= {"n_seeds": int((~lost).sum()), "diverged": int(lost.sum())}
        line["parameters"] = parameters[first["member"]]
        for metric, values in same.loc[~lost, list(metrics)].items():
            names = (f"{metric}_{end}" for end in ("mean", "low", "high"))
            ends = measures.over_seeds(metric, values.dropna())
            line |= zip(names, ends, strict=True)
        out.append(line)
    return out


def baseline(planned: plans.Plan, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Lines of the summary for PCA, one per data set, binarisation and latent_dim.

    Sequences of unequal length have none: PCA would be scored on their padding. Nor
    has what is only right or wrong.
    """
    wanted: dict[tuple, list[populations.Population]] = {}
    for population in planned.populations:
        spec = population.spec
        if "length" not in spec.data.arrays and "mse" in population.metrics:
            shared = spec.config.dataset, spec.config.binarize
            wanted.setdefault(shared, []).append(population)
    lines = []
    for same in wanted.values():
        first = same[0]
        dims = sorted({m.config.latent_dim for p in same for m in p.members})
        size = math.prod(first.spec.data.shape)
        counted = first.spec.model.observed().measures["mse"].where
        errors = pca.pca_mse(planned.sources.source(first.spec), dims, counted)
        share = first.spec.data.counted.get("mse", (1.0,))[-1]
        for k, mse in errors.items():
            mse = mse and measures.rounded(mse / (share or 1.0))
            line = {n: first.members[0].columns[n] for n in ("dataset", "binarize")}
            line |= {"objective": "pca", "latent_dim": k, "n_seeds": 1, "diverged": 0}
            line |= {"parameters": (min(k, size) + 1) * size, "mse_mean": mse}
            if mse is not None:
                psnr = measures.psnr(mse, first.spec.data.peak)
                line["psnr_mean"] = measures.rounded(psnr)
            lines.append(dict.fromkeys(columns) | line)
    return lines
