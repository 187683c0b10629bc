"""Anomalies of a series, step by step: the mean over the windows that cover each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aejax import data as datasets
from aejax import tasks
from aejax.tasks import ranking, represent

# x (T, F) in standard units and first steps (N,) of windows -> (N, window) scores.
Errors = Callable[[np.ndarray, np.ndarray], np.ndarray]
SEASON = 0.25  # of the autocorrelation at a period; below it there is none


def by_step(errors: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
    """(count,) mean of errors (N, window) over the windows that cover a step.

    Windows begin at the steps ``starts`` (N,); NaN where there is none.
    """
    steps = (starts[:, None] + np.arange(errors.shape[1])).ravel()
    total = np.bincount(steps, errors.ravel(), count)
    cover = np.bincount(steps, minlength=count)
    return np.where(cover > 0, total / np.maximum(cover, 1), np.nan)


def season(x: np.ndarray) -> int:
    """The period of x (T, F), in steps: where its autocorrelation is high again.

    That is the mean of the features', beyond the first lag at which it falls below
    ``SEASON``, up to T / 2: the first that is about as high as the highest, since
    multiples of a period are, too. 1 if it never rises above ``SEASON`` again.
    """
    x, count = x - x.mean(0, keepdims=True), len(x) // 2
    power = np.square(np.abs(np.fft.rfft(x[:, x.any(0)], 2 * len(x), axis=0)))
    if not power.size:
        return 1
    some = np.fft.irfft(power, axis=0)[:count]  # twice as long: nothing wraps around
    lags = (some / some[:1]).mean(1) * len(x) / (len(x) - np.arange(count))
    low = int(np.argmax(lags < SEASON))
    if lags[low] >= SEASON or (high := lags[low:].max()) <= SEASON:
        return 1
    first = low + int(np.argmax(lags[low:] >= 0.9 * high))
    return first + int(np.argmax(lags[first : first + first // 2 + 1]))


def seasonal(x: np.ndarray, period: int) -> np.ndarray:
    """(T,) mean squared difference of x (T, F) from x one period of rows before.

    The seasonal naive forecast (Hyndman & Athanasopoulos, section 5.2), which takes the
    last known value where one is missing. In the first period it is the row before.
    """
    import pandas as pd

    known = pd.DataFrame(x).ffill().bfill().to_numpy()
    before = np.concatenate([known[:1], known[: period - 1], known[:-period]])
    return np.square(x - before).mean(1)


def systems(
    models: tasks.Models, view: datasets.Dataset, dims: Sequence[int], period: int
) -> dict[str, Errors]:
    """{name: its errors}: of the models, then of what is fitted to the same windows.

    "error" is the squared one of the step itself; "window", its mean over the window,
    "mahalanobis", the distance of the code from those of train, and the forest's score
    are the window's at each of its steps.
    """
    from sklearn import ensemble

    train, cut = view.train.x, view.series.windows
    forest = ensemble.IsolationForest(random_state=0)
    forest.fit(train.reshape(len(train), -1))

    def level(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[:, None], view.series.window, 1)

    def squares(model: Any) -> Errors:
        def errors(x: np.ndarray, starts: np.ndarray) -> np.ndarray:
            windows = cut(x, starts)
            return np.square(windows - model.reconstruct(windows)).mean(2)

        return errors

    def both(name: str, errors: Errors) -> dict[str, Errors]:
        whole = lambda x, starts: level(errors(x, starts).mean(1))  # noqa: E731
        return {f"{name} error": errors, f"{name} window": whole}

    def distance(model: Any) -> Errors:
        far = ranking.mahalanobis(represent.flat(model.encode(train)))
        return lambda x, s: level(far(represent.flat(model.encode(cut(x, s)))))

    def isolation(x: np.ndarray, starts: np.ndarray) -> np.ndarray:
        windows = cut(x, starts).reshape(len(starts), -1)
        return level(-forest.score_samples(windows))

    made = {}
    for name, model in tasks.named(models).items():
        made |= both(name, squares(model))
        made[f"{name} mahalanobis"] = distance(model)
    for k in sorted({*dims, *(m.latent_dim for m in models)}):
        if k < len(train):
            made |= both(f"PCA k={k}", squares(tasks.PCA(train, k)))
    made["Isolation Forest"] = isolation
    naive = lambda x, starts: cut(seasonal(x, period), starts)  # noqa: E731
    return made | both(f"seasonal naive {period}", naive)


def spans(flags: np.ndarray) -> list[tuple[int, int]]:
    """[(from, to), …], to not included, of the runs of True in flags (T,)."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
