"""Ranks of examples without labels: p-values, alarms, and where they are strange."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aejax import data as datasets
from aejax.tasks import panels

Scored = dict[str, tuple[np.ndarray, np.ndarray]]  # of normal examples, and of others


def mahalanobis(codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Codes (n, k) -> z (N, k) -> (N,) squared distances; of Ledoit–Wolf covariance."""
    from sklearn import covariance

    return covariance.LedoitWolf().fit(np.asarray(codes, np.float64)).mahalanobis


def p_values(normal: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) of scores (N,): the chance that a normal example scores as high.

    Conformal, for any model and distribution: (1 + normal scores (n,) that are not
    lower) / (n + 1). Bates et al., Annals of Statistics 51, 2023, equation 2. They hold
    for examples that the model does not know, and are too large where some of the
    ``normal`` ones are strange themselves.
    """
    below = np.searchsorted(np.sort(normal), scores, "left")
    return (1 + len(normal) - below) / (len(normal) + 1)


def discoveries(p: np.ndarray, rate: float) -> np.ndarray:
    """(N,) bool: anomalies of which at most this share, on average, are none.

    Benjamini & Hochberg 1995, which conformal p-values allow (Bates et al. 2023,
    theorem 2). With n normal examples nothing is found among fewer than 1 / (rate ·
    (n + 1)) of all.
    """
    from scipy import stats

    return stats.false_discovery_control(p) <= rate


def order(scores: np.ndarray) -> np.ndarray:
    """Positions of scores (N,), the strangest first."""
    return np.argsort(-scores, kind="stable")


def threshold(normal: np.ndarray, rate: float = 0.05) -> float:
    """The score that at most this share of normal examples' scores (n,) exceeds."""
    return float(np.quantile(normal, 1 - rate, method="higher"))


def detection(strange: np.ndarray, before: np.ndarray, values: np.ndarray, rate: float):
    """Columns of scores (N,) of test examples; ``before`` are those of normal ones."""
    from sklearn import metrics

    alarm = values > threshold(before, rate)
    return {
        "auroc": metrics.roc_auc_score(strange, values),
        "auprc": metrics.average_precision_score(strange, values),
        "false alarm rate": alarm[~strange].mean(),
        "detection rate": alarm[strange].mean(),
    }


def rows(scored: Scored, first: str, rate: float) -> tuple[list[dict[str, Any]], int]:
    """A row per system, and of how many examples the agreement is.

    That is the share of the ``first`` system's strangest ones, ``rate`` of all, that a
    system has among its own.
    """
    count = max(1, round(rate * len(scored[first][1])))
    reference, made = order(scored[first][1])[:count], []
    for system, (normal, values) in scored.items():
        accepted = discoveries(p_values(normal, values), rate)
        row = {"alarm rate": float((values > threshold(normal, rate)).mean())}
        row |= {"discoveries": int(accepted.sum())}
        agreement = len(np.intersect1d(reference, order(values)[:count])) / count
        made.append({"system": system, **row, "agreement": agreement})
    return made, count


def table(
    data: datasets.Dataset,
    scores: Mapping[str, np.ndarray],
    normal: np.ndarray,
    limit: float,
    used: Mapping[str, np.ndarray],
) -> bytes:
    """A CSV file of {split: scores (N,)}, in the order of what was given.

    ``split`` and ``row`` say where an example stands there, rows counted from 0;
    ``used`` says what the model knew it as. ``normal`` are scores of normal examples
    and ``limit`` is the threshold.
    """
    import pandas as pd

    parts = []
    for split, values in scores.items():
        origin, row = _given(data, split)
        about = {"split": origin, "row": row, "used": used[split]}
        p = p_values(normal, values)
        about |= {"score": values, "p_value": p, "alarm": values > limit}
        parts.append(pd.DataFrame(about))
    whole = pd.concat(parts)
    ranks = {split: i for i, split in enumerate(datasets.SPLITS)}
    whole = whole.sort_values(
        ["split", "row"], key=lambda c: c.map(ranks) if c.name == "split" else c
    )
    return whole.to_csv(index=False, float_format="%.6g").encode()


def _given(data: datasets.Dataset, split: str) -> tuple[str, np.ndarray]:
    """Where the examples of a split stand in what was given: its split, their rows."""
    if data.rows is not None:
        return data.rows[split]
    return split, np.arange(len(getattr(data, split).x))


def places(data: datasets.Dataset, splits: Sequence[str]) -> list[str]:
    """Where each example stands in what was given: "test 12", or "row 12"."""
    given = [_given(data, split) for split in splits]
    whole = data.rows is not None and len({o for o, _ in data.rows.values()}) == 1
    return [
        f"{'row' if whole else origin} {row}" for origin, rows in given for row in rows
    ]


def joined(parts: Sequence[datasets.Split]) -> datasets.Split:
    """One after the other."""
    fields = zip(*parts, strict=True)
    return datasets.Split(
        *(None if f[0] is None else np.concatenate(f) for f in fields)
    )


def trimmed(
    models: Sequence[Any],
    data: datasets.Dataset,
    share: float,
    score: Callable[[Any, datasets.Dataset, str], np.ndarray],
    rounds: int = 2,
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Models trained anew without the strangest examples of train and valid.

    In each of the rounds more of them, up to this ``share`` of each split, are left
    out by what the first model as it is then scores them: what it has not learned to
    reconstruct stands out more.

    Args:
      score: (model, data, split) -> (N,), larger where an example is stranger.

    Returns:
      The new models, and {split: which examples were kept, (N,) bool}.
    """
    from aejax.runs import plan, sources, sweep

    kept: dict[str, np.ndarray] = {}
    for number in range(1, rounds + 1):
        for split in ("train", "valid"):
            values = score(models[0], data, split)
            limit = np.quantile(values, 1 - share * number / rounds, method="higher")
            kept[split] = values <= limit
        rest = sources.Sources(load=lambda name: datasets.taken(data, kept))
        planned = [plan.plan(m.config, {}, rest) for m in models]
        models = [
            sweep.sweep(m.config, planned=p).model()
            for m, p in zip(models, planned, strict=True)
        ]
    return models, kept


def tail(title: str, scores: Mapping[str, np.ndarray]) -> panels.Curves:
    """{name: scores (N,)} as shares that lie above each value, logarithmic."""
    lines = {}
    for name, values in scores.items():
        some = np.sort(values)[:: max(1, len(values) // 500)]
        share = 1 - np.searchsorted(np.sort(values), some) / len(values)
        lines[name] = list(zip(some.tolist(), share.tolist(), strict=True))
    return panels.Curves(title, "error", "share that is larger", lines, "xy")


def where(
    title: str,
    x: np.ndarray,
    x_hat: np.ndarray,
    usual: np.ndarray,
    names: Sequence[str],
    columns: Sequence[str] = (),
) -> panels.Panel:
    """Where the strangest examples x (n, *S) differ from their reconstructions.

    Of vectors a table: |x - x̂| over its root mean square in ``usual`` (N, *S), the
    same difference of normal examples, of the 12 columns where it is largest; called
    ``columns``, or by their positions. Of images and series the difference itself.
    """
    error = np.abs(x - x_hat)
    if x.ndim > 2:
        rows = ("input", "", x), ("output", "", x_hat), ("|difference|", "", error)
        return panels.Images(title, rows)
    ratio = error / (np.sqrt(np.square(usual).mean(0)) + 1e-12)
    picks = np.sort(np.argsort(-ratio.max(0), kind="stable")[:12])
    called = [str(columns[c] if columns else c)[:40] for c in picks]
    return panels.Grid(title, ratio[:, picks].round(1).T, called, list(names))
