"""What a series' scores say: a table, pictures, scores.csv. See ``anomaly``."""

from collections.abc import Mapping, Sequence

import numpy as np

from aejax import config, tasks
from aejax import data as datasets
from aejax.tasks import panels, ranking, steps

SEEN = 5  # windows in pictures, features in a plot
SCORES = ("error", "window", "mahalanobis")


def apply(
    models: tasks.Models,
    view: datasets.Dataset,
    data: datasets.Dataset,
    rate: float,
    dims: Sequence[int],
    period: int,
    score: str,
) -> tasks.Result:
    """Scores of the steps of ``data``, by models of ``view``, beside baselines.

    The threshold is the score that at most this ``rate`` of the valid steps of ``view``
    exceed; where steps are labelled, how well they are found, step by step and by
    windows. ``period`` 0 is that of the training steps' autocorrelation; ``score``, of
    ``SCORES``, is whose alarms scores.csv and the pictures have.

    Raises:
      InputError: another score; a period beyond the training steps; models of other
        windows.
    """
    if score not in SCORES:
        raise config.unknown("score", score, SCORES)
    shape, given = view.train.x.shape[1:], data.train.x.shape[1:]
    if view.series is None or shape != given:
        raise config.InputError(
            f"models of '{view.name}' take examples {shape}, and '{data.name}' has "
            f"windows {given}, of steps and features: apply them to a series that is "
            "cut alike, or train others on this one"
        )
    same = _whole(view) == _whole(data)
    asked = ("test",) if same else datasets.SPLITS
    usual, x = _standard(view, view), _standard(view, data)
    low, high = view.series.borders["train"]
    period = config.check_value("period", period, 0, (0, high - 1))
    period = period or steps.season(_known(usual[low:high]))
    fits = steps.systems(models, view, dims, period)
    ours = f"{next(iter(tasks.named(models)))} {score}"
    fits = {ours: fits[ours], **fits}  # the first, whose agreement with itself is 1
    rows, before, scored = [], {}, {}
    for name, errors in fits.items():
        before[name] = _known(_scores(errors, view, usual, ("valid",))[0])
        scored[name], windows = _scores(errors, data, x, asked)
        row = _row(data, asked, before[name], scored[name], windows, rate)
        rows.append({"system": name} | row)
    limit = ranking.threshold(before[ours], rate)
    whole, _ = _scores(fits[ours], data, x, datasets.SPLITS)
    picks = _strangest(data, whole)
    pictures = _pictures(ours, models[0], data, x, whole, limit, picks)
    if "step auroc" in rows[0]:
        bars = {row["system"]: (row["step auroc"],) * 3 for row in rows}
        pictures.append(panels.Bars("By step", "auroc", bars))
    else:
        _agreement(rows, scored, rate)
        tails = {"valid": before[ours], " + ".join(asked): _known(scored[ours])}
        pictures.append(ranking.tail(f"Steps' scores by {ours}", tails))
    text = _text(data, asked, scored[ours], limit, ours, rate, period, picks)
    return tasks.Result(rows, pictures, text, {"scores.csv": _file(data, whole, limit)})


def _whole(data: datasets.Dataset) -> str:
    return datasets.classes_of(data.name)[0]


def _known(values: np.ndarray) -> np.ndarray:
    """Rows without NaN."""
    return values[np.isfinite(values).reshape(len(values), -1).all(1)]


def _standard(view: datasets.Dataset, data: datasets.Dataset) -> np.ndarray:
    """(T, F) float32: values of ``data`` in the units that ``view`` was trained in."""
    values, standard = data.series.values, view.standard
    return np.float32(values if standard is None else standard.forward(values))


def _scores(
    errors: steps.Errors, data: datasets.Dataset, x: np.ndarray, splits: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(T,) scores of the steps of these splits, NaN elsewhere, and (N,) of windows."""
    starts = np.concatenate([data.rows[split][1] for split in splits])
    values = errors(x, starts)
    return steps.by_step(values, starts, len(x)), values.mean(1)


def _is_labelled(data: datasets.Dataset, values: np.ndarray) -> bool:
    """Whether some of the steps that have scores are labelled, and not all."""
    strange = data.series.strange
    return strange is not None and len(set(strange[np.isfinite(values)])) == 2


def _row(data, asked, normal, after, windows, rate: float) -> dict[str, float]:
    """Columns of one system: its alarms, or by labels how well steps are found.

    ``normal`` are scores of valid steps, ``after`` (T,) those asked for, and
    ``windows`` (N,) those of windows.
    """
    scored = np.isfinite(after)
    if not _is_labelled(data, after):
        alarms = after[scored] > ranking.threshold(normal, rate)
        return {"alarm rate": float(alarms.mean())}
    step = ranking.detection(data.series.strange[scored], normal, after[scored], rate)
    starts = np.concatenate([data.rows[split][1] for split in asked])
    labels = data.series.windows(data.series.strange, starts).any(1)
    whole = ranking.detection(labels, windows, windows, rate)
    areas = {f"step {n}": step.pop(n) for n in ("auroc", "auprc")}
    return areas | {f"window {n}": whole[n] for n in ("auroc", "auprc")} | step


def _agreement(rows: list[dict], scored: Mapping[str, np.ndarray], rate) -> None:
    """Adds the share of the first system's strangest steps that a system has, too."""
    tops = []
    for values in scored.values():
        some = np.nan_to_num(values, nan=-np.inf)
        count = max(1, round(rate * np.isfinite(values).sum()))
        tops.append(ranking.order(some)[:count])
    for row, top in zip(rows, tops, strict=True):
        row["agreement"] = len(np.intersect1d(top, tops[0])) / len(top)


def _strangest(data: datasets.Dataset, values: np.ndarray) -> np.ndarray:
    """First steps of the windows that hold the highest scores, none over another."""
    window, picks = data.series.window, []
    starts = np.concatenate([data.rows[split][1] for split in datasets.SPLITS])
    means = np.nanmean(data.series.windows(values, starts), 1)
    for i in ranking.order(np.nan_to_num(means, nan=-np.inf)):
        if len(picks) < SEEN and all(abs(starts[i] - p) >= window for p in picks):
            picks.append(int(starts[i]))
    return np.sort(picks)


def _pictures(ours, model, data, x, whole, limit, picks) -> list[panels.Panel]:
    """The series, the scores and the windows that are strangest."""
    made, times = data.series, data.series.clock.times
    names = made.names[:SEEN]
    single = len(made.names) == 1
    lines = {n: made.values[:, i] if single else x[:, i] for i, n in enumerate(names)}
    odd = [] if made.strange is None else steps.spans(made.strange)
    shaded = [(times[a], times[b - 1]) for a, b in odd]
    borders = {s: times[low] for s, (low, _) in made.borders.items()}
    about = {"times": times, "spans": shaded, "borders": borders}
    unit = names[0] if single else "standard units"
    flags = whole > limit
    windows = made.windows(x, picks)
    word = "labelled shaded; " * bool(odd)
    return [
        panels.Timeline(
            f"Series ({word}flagged below)", unit, lines, marks=flags, **about
        ),
        panels.Timeline(
            "Score, and threshold",
            "score",
            {ours: whole},
            limit=limit,
            log=True,
            **about,
        ),
        ranking.where(
            "The strangest windows", windows, model.reconstruct(windows), x, []
        ),
    ]


def _text(data, asked, values, limit, ours, rate, period, picks) -> str:
    scored = np.isfinite(values)
    count, flagged = scored.sum(), (values > limit).sum()
    say = data.series.clock.say
    text = (
        "A step's score is the mean over the windows that cover it: of its squared "
        "error in standard units, of the window's (window), or of the distance of "
        f"the window's code (mahalanobis). Of {count:,} steps ({', '.join(asked)} of "
        f"'{data.name}') {flagged:,} ({flagged / count:.1%}) lie above {limit:.3g} of "
        f"'{ours}', as at most {rate:.0%} of the valid steps do, taken for normal; "
        "neighbouring steps are alike, and this share varies more than that of "
        "examples. "
    )
    if _is_labelled(data, values):
        odd = data.series.strange[scored]
        text += (
            f"{odd.sum():,} of them ({odd.mean():.1%}, the auprc of chance) are "
            "labelled; a window is if one of its steps is. "
        )
    return text + (
        f"Baselines know the same windows; the seasonal forecast is the value {period} "
        f"steps before. The strangest windows begin at "
        f"{', '.join(say(p) for p in picks)}. scores.csv has every step in the "
        "order of the file; without a score are those that no window covers."
    )


def _file(data: datasets.Dataset, whole: np.ndarray, limit: float) -> bytes:
    """scores.csv: a row per step, in the order of the file."""
    import pandas as pd

    made = data.series
    splits = np.empty(len(whole), object)
    for split, (low, high) in made.borders.items():
        splits[low:high] = split
    frame = pd.DataFrame({"row": np.arange(len(whole)), "split": splits})
    frame["time"] = made.clock.times
    for i, name in enumerate(made.names):
        frame[f"{name} (value)" if name in frame else name] = made.values[:, i]
    frame["score"], frame["flagged"] = whole, whole > limit
    if made.strange is not None:
        frame["labelled"] = made.strange
    return frame.to_csv(index=False, float_format="%.9g").encode()
