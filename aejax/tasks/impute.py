"""Imputation of what is missing. Mattei & Frellsen, ICML 2019 (MIWAE).

A model's reconstruction of what it is not shown (single), or means and draws by
importance weights (multiple), beside mean, median, nearest neighbours (KNNImputer) and
chained regressions (IterativeImputer), all fitted to the models' training data.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config, tasks
from aejax import data as datasets
from aejax.tasks import compare, imputation, panels

PATTERNS = ("random", "column")
WORDS = {"random": "at random", "column": "by column"}
COLUMNS = 12  # that are hidden one by one, at most, spread over all
dataset = "bumps"
needs = {"columns"}
reads_missing = True
all_models = True
systems = imputation.systems


def sweeps(data: datasets.Dataset) -> list[tasks.Sweep]:
    """A denoising model that fills what is hidden from it, at several sizes; and vae
    and iwae. If nothing is missing a fifth of a file's values are hidden, from all; of
    other data there is the first alone."""
    width = data.train.x.shape[1]
    sizes = sorted({min(k, width) for k in (2, 4, 8)})
    often = max(1, tasks.size(data)["epochs"] // 40)
    values = tasks.size(data) | {"select": "best", "eval_every": often}
    values |= {"likelihood": "mixed", "activation": "tanh"}
    hiding = {"objective": "denoising", "corruption": "hide", "level": 0.3}
    whole, axes = not datasets.missing.are(data), {"latent_dim": sizes}
    if whole and not datasets.files.is_path(data.name):
        return [tasks.Sweep("impute", values | hiding, axes)]
    name = datasets.files.asking(data.name, "hide", "0.2") if whole else data.name
    values["dataset"] = name
    draws = {"objective": ("vae", "iwae"), **axes}
    return [
        tasks.Sweep("impute", values | hiding, axes),
        tasks.Sweep("impute-draws", values, draws),
    ]


def hidden(
    data: datasets.Dataset, x: np.ndarray, pattern: str, share: float, seed: int
) -> list[tuple[str, np.ndarray]]:
    """(name, (N, D) bool) of what of x is hidden: at random, or column by column."""
    known = ~np.isnan(x)
    if pattern == "random":
        rng = np.random.default_rng(seed)
        return [("", known & datasets.missing.mask(rng, data, len(x), share))]
    widths = datasets.missing.widths(data)
    names = [c.name for c in data.columns] or [str(i) for i in range(len(widths))]
    ends = np.cumsum(widths)
    picks = np.unique(np.linspace(0, len(widths) - 1, COLUMNS).round().astype(int))
    made = []
    for i in picks:
        away = np.zeros(x.shape, bool)
        away[:, ends[i] - widths[i] : ends[i]] = True
        made.append((names[i], known & away))
    return made


def score(
    data: datasets.Dataset,
    part: datasets.Split,
    cases: Sequence[tuple[str, np.ndarray]],
    fill: Callable,
    spread: np.ndarray,
    draws: int = imputation.DRAWS,
) -> list[dict[str, Any]]:
    """``imputation.errors`` of a part's examples, of each case of ``hidden``."""
    rows = []
    for _, away in cases:
        filled = fill(np.where(away, np.float32(np.nan), part.x), part.y, draws=draws)
        rows.append(imputation.errors(data, part.x, away, filled, spread))
    return rows


def total(rows: Sequence[Mapping[str, Any]]) -> float:
    """What is chosen by: rmse and error rate, summed over rows."""
    values = [r.get(n) for r in rows for n in ("rmse", "error rate")]
    return sum(v for v in values if v is not None)


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Of each column over the rows that have it."""
    names = dict.fromkeys(n for row in rows for n in row)
    known = {n: [r[n] for r in rows if r[n] is not None] for n in names}
    return {n: float(np.mean(v)) if v else None for n, v in known.items()}


def apply(
    models: tasks.Models,
    data: datasets.Dataset,
    *,
    patterns: tuple = PATTERNS,
    share: float = 0.2,
    limit: int = 300,
) -> tasks.Result:
    """RMSE, error rate and coverage of hidden values of test examples, by system.

    Args:
      models: of tables; of those of one objective the best on valid is taken.
      patterns: "random", each value by itself, and "column", one column at a time.
      share: of values that are hidden at random.
    """
    for pattern in patterns:
        if pattern not in PATTERNS:
            raise config.unknown("pattern", pattern, PATTERNS)
    fitted = data
    if (name := models[-1].config.dataset) != data.name:
        fitted = datasets.load(name)
    train = datasets.in_units(fitted.train.x, fitted.scale)
    parts = {s: tasks.held_out(data, s, limit) for s in ("valid", "test")}
    spread = imputation.spread(train)
    compared, columns = [], {}
    for system, choices in systems(train, tasks.named(models)).items():
        for pattern in patterns:
            cases = {
                s: hidden(data, part.x, pattern, share, seed)
                for seed, (s, part) in enumerate(parts.items())
            }
            tried = {
                choice: score(data, parts["valid"], cases["valid"], fill, spread, 0)
                for choice, fill in choices.items()
            }
            picked = min(tried, key=lambda choice: total(tried[choice]))  # noqa: B023
            rows = score(data, parts["test"], cases["test"], choices[picked], spread)
            row = {"chosen": picked} | means(rows)
            compared.append(compare.Compared({"hidden": pattern}, system, row))
            if pattern == "column":
                columns[system] = [r["rmse"] for r in rows]
    called = [n for n, _ in hidden(data, parts["test"].x, "column", share, 0)]
    pictures = _panels(compared, columns, called)
    return tasks.Result(compare.rows(compared), pictures, _text(data, parts))


def _panels(
    compared: Sequence[compare.Compared],
    columns: Mapping[str, Sequence[float | None]],
    called: Sequence[str],
) -> list[panels.Panel]:
    """Bars of each pattern's rmse, and the columns' by system."""
    made: list[panels.Panel] = []
    numbers = any(c.metrics["rmse"] is not None for c in compared)
    measure = "rmse" if numbers else "error rate"
    for pattern in dict.fromkeys(c.columns["hidden"] for c in compared):
        some = compare.where(compared, {"hidden": pattern})
        if all(c.metrics.get(measure) is not None for c in some):
            title = f"{measure.replace('rmse', 'RMSE')}, hidden {WORDS[pattern]}"
            made.append(compare.bars(title, some, measure))
    values = np.array([*columns.values()], float)  # None is NaN
    whole = ~np.isnan(values).any(0) if values.size else np.zeros(0, bool)
    if whole.any():
        names = [n for n, good in zip(called, whole, strict=True) if good]
        title = "RMSE of numbers, hidden one column at a time, in deviations"
        made.append(panels.Grid(title, values[:, whole].T, names, list(columns)))
    return made


def _text(data: datasets.Dataset, parts: Mapping[str, datasets.Split]) -> str:
    valid, test = (len(parts[s].x) for s in ("valid", "test"))
    return (
        f"{test} test examples of {data.name}, values hidden with a fixed seed. RMSE "
        "is of hidden numbers, in deviations of the training split; error rate of "
        "hidden booleans and categories; coverage is the share of hidden numbers that "
        "lie in the 95 % interval of 39 draws. Everything is fitted to one training "
        "split, the models' own; the number of neighbours, the regressions' rounds or "
        "ridge, and one model of each objective, are those with the lowest rmse and "
        f"error rate on {valid} validation examples, by pattern. Single fills with a "
        "reconstruction, multiple with the mean of importance-weighted draws."
    )
