"""Series: a table or an array whose rows are steps of time, cut into windows.

``series.csv@window=128`` has examples x (N, 128, F), cut from one split each: train is
the first time, then valid, then test. No window crosses a border or a gap.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import clock, columns, dataset, frames, npz, standard, windows

WINDOW = "STEPS (of a series, whose rows are steps of time: examples are windows)"
OPTIONS = {
    "window": "STEPS (of a window)",
    "stride": "STEPS (from one window to the next; half a window, in valid and test an "
    "eighth)",
    "time": "COLUMN (of times; the one that holds dates)",
    "label": "COLUMN (of two values, the rarer one or 1 marks anomalous steps)",
    "valid": "SHARE (of the steps, before test; 0.1)",
    "test": "SHARE (of the steps, the last; 0.1)",
    "standardize": "zscore (the default), quantile or none",
    "drop": "COLUMN+COLUMN (left out)",
}


def load(name: str, path: Path, options: Mapping[str, str]) -> dataset.Dataset:
    """The data set of the windows of a series, (N, window, F) float32, gaussian.

    Rows keep the order of the file. A column of times is recognised (``clock.column``);
    numbers and booleans are features, standardised by the steps of train. A window
    holds no missing value. Its y is whether a labelled step is in it.

    Of .npy and .npz x is (T,) or (T, F), and y, if there is one, (T,).

    Raises:
      InputError: as ``frames.read``, ``clock.read`` and ``columns.examine``; a series
        too short for its windows; options that are none.
    """
    window, stride, shares = _asked(name, options)
    how = standard.check(name, options.get("standardize", "zscore"))
    label = options.get("label")
    if frames.suffix(path):
        frame = frames.read(name, path)
        if frame.index.name is not None or frame.index.dtype.kind == "M":
            frame = frame.reset_index()
    else:
        frame = _array(name, path)
        label = label or ("y" if "y" in frame else None)
    if len(frame) < 3:
        raise config.InputError(
            f"'{name}' has {len(frame)} rows; a series has a row for each step of "
            f"time, many more than a window of {window}"
        )
    frame = frame.set_axis(map(str, frame.columns), axis=1)
    dropped = [c for c in options.get("drop", "").split("+") if c]
    for column in (*dropped, *([label] if label else [])):
        if column not in frame.columns:
            raise config.unknown(f"column of '{name}'", column, frame.columns)
    strange, words, more = _strange(name, label, frame)
    whole = frame.drop(columns=[*dropped, *([label] if label else [])])
    where = clock.column(name, whole, options.get("time"))
    times = clock.read(name, whole, where)
    values, names, kinds, notes = _features(name, whole.drop(columns=where or []))
    runs, borders = windows.runs(times, values), windows.borders(len(values), shares)
    made = windows.Series(values, names, times, window, stride, runs, borders, strange)
    windows.check(name, made)
    starts = {split: made.starts(split) for split in dataset.SPLITS}
    return _dataset(name, made, starts, kinds, how, words)._replace(
        notes=(*windows.notes(made), *notes, *more)
    )


def _asked(name: str, options: Mapping[str, str]) -> tuple[int, int, dict[str, float]]:
    """Steps of a window and between two, and the shares of valid and test."""

    def number(key: str, kind: type, default: Any, low: float, high: float) -> Any:
        try:
            value = kind(options.get(key, default))
        except ValueError:
            value = None
        if value is None or not low <= value < high:
            more = {"window": "", "stride": ",stride=64"}.get(key, f",{key}=0.1")
            rule = "a whole number of steps" if kind is int else "a share, below 1,"
            raise config.InputError(
                f"{key} of '{name}' is '{config.listed([options[key]])}'; it must be "
                f"{rule} from {low:g} on: {name}@window=128{more}"
            )
        return value

    window = number("window", int, "", 2, config.MOST)
    stride = number("stride", int, 1, 1, config.MOST) if "stride" in options else None
    shares = {s: number(s, float, 0.1, 1e-6, 1) for s in ("valid", "test")}
    if sum(shares.values()) >= 1:
        raise config.InputError(
            f"valid={shares['valid']:g} and test={shares['test']:g} of '{name}' leave "
            "no step to train on; their sum must be below 1"
        )
    return window, windows.strides(window, stride), shares


def _array(name: str, path: Path) -> Any:
    """The frame of x (T,) or (T, F), and perhaps y (T,)."""
    import pandas as pd

    given, _, _ = npz.read(name, path)
    fields = given.get("train", {})
    x, y = fields.get("x", ("", None))[1], fields.get("y", ("", None))[1]
    more = [*(s for s in given if s != "train"), *(f for f in fields if f not in "xy")]
    fits = np.ndim(x) in (1, 2) and x.dtype.kind in "iufb" and x.size
    if more or not fits or (y is not None and y.shape != x.shape[:1]):
        about = f"x {np.shape(x)}" + f", y {np.shape(y)}" * (y is not None)
        about += f", {config.listed(more)}" * bool(more)
        raise config.InputError(
            f"'{name}' holds {about}; a series is one x, (T,) or (T, F) numbers with "
            "the time first, and perhaps y (T,) that marks steps; its splits are made "
            "by time. Arrays of windows (N, T, F) are taken without window="
        )
    x = x.reshape(len(x), -1)
    frame = pd.DataFrame(x, columns=[f"feature {i}" for i in range(x.shape[1])])
    return frame if y is None else frame.assign(y=y)


def _features(
    name: str, frame: Any
) -> tuple[np.ndarray, tuple[str, ...], list[str], list[str]]:
    """Values (T, F), their names, "number" or "boolean" of each, and notes."""
    values, kinds, left = {}, [], []

    def ask(key: str, value: str) -> str:
        return f"{key}={value}"

    for column in frame.columns:
        kind, cells = columns.examine(name, column, frame[column], ask)
        if kind == "category":
            raise config.InputError(
                f"column '{config.listed([column])}' of '{name}' holds strings, "
                f"'{config.listed(cells[:1])}' in row 1; features of a series are "
                f"numbers or booleans; label={column} if it marks anomalies, or leave "
                f"it out: drop={column}"
            )
        if kind == "index":
            left.append(column)
            continue
        values[column] = cells
        kinds.append(kind)
    if not values:
        raise config.InputError(
            f"'{name}' has no column of numbers beside its times"
            + f"; {config.listed(left)} counts rows" * bool(left)
        )
    note = [f"{config.listed(left)} counts or names rows and is left out"] * bool(left)
    if bits := [c for c, kind in zip(values, kinds, strict=True) if kind == "boolean"]:
        note.append(
            f"{config.listed(bits, 5)}, 0 and 1, is a feature; label={bits[0]} would "
            "mark anomalous steps by it"
        )
    if missing := [c for c in values if np.isnan(values[c]).any()]:
        rows = np.isnan(np.stack(list(values.values()))).any(0)
        note.append(
            f"{rows.sum():,} steps lack values, of {config.listed(missing, 10)}, row "
            f"{int(rows.argmax()) + 1} first: no window has one of them"
        )
    return np.stack(list(values.values()), 1), tuple(values), kinds, note


def _strange(
    name: str, label: str | None, frame: Any
) -> tuple[np.ndarray | None, tuple[str, ...], list[str]]:
    """Which steps (T,) are labelled, the words for no and yes, and a note."""
    if label is None:
        return None, (), []
    given = columns.label(name, label, frame[label], f"{name}@window=…")
    words, counts = np.unique(given, return_counts=True)
    if len(words) != 2:
        raise config.InputError(
            f"the label column '{config.listed([label])}' of '{name}' has "
            f"{len(words)} values, {config.listed(words, 5)}; a label of steps has "
            "two, 0 and 1 or two words, of which the rarer marks anomalies; or leave "
            f"it out: drop={label}"
        )
    rare = 1 if words.tolist() == [0, 1] else int(counts.argmin())
    note = f"{label} marks {counts[rare]:,} of {len(given):,} steps: {words[rare]}"
    both = str(words[1 - rare]), str(words[rare])
    return given == words[rare], both, [note]


def _dataset(
    name: str,
    made: windows.Series,
    starts: Mapping[str, np.ndarray],
    kinds: list[str],
    how: str,
    words: tuple[str, ...],
) -> dataset.Dataset:
    size = sum(map(len, starts.values())) * made.window * len(made.names)
    dataset.check_memory(name, 8 * size)
    places = np.array([i for i, kind in enumerate(kinds) if kind == "number"], int)
    train = made.values[slice(*made.borders["train"])]
    fitted = standard.fit(train, places, how)
    x = np.float32(fitted.forward(made.values) if fitted else made.values)
    parts = {}
    for split, first in starts.items():
        y = None
        if made.strange is not None:
            y = made.windows(made.strange, first).any(1).astype(np.int32)
        parts[split] = dataset.Split(made.windows(x, first), y)
    named = zip(made.names, kinds, strict=True)
    return dataset.Dataset(
        name,
        **parts,
        likelihood="gaussian",
        scale=1.0,
        num_classes=len(words),
        labels=words,
        rows={split: ("train", first) for split, first in starts.items()},
        columns=tuple(columns.Column(n, k, i) for i, (n, k) in enumerate(named)),
        standard=fitted,
        series=made,
    )
