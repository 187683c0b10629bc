"""How a series is cut into windows: its runs without a gap, its splits by time."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from aejax import config
from aejax.data import clock, dataset


class Series(NamedTuple):
    """A series of T steps as it was given, and how it was cut.

    values: (T, F) float64 in the user's units, NaN where missing, of the features
    ``names``.   clock: ``clock.Clock``.   window: in steps; stride: {split: steps}.
    runs: (R, 2) from and to, not included, of steps without a break or a missing value.
    borders: {split: (from, to)}.   strange: (T,) bool, which steps are labelled; or
    None.
    """

    values: np.ndarray
    names: tuple[str, ...]
    clock: clock.Clock
    window: int
    stride: Mapping[str, int]
    runs: np.ndarray
    borders: Mapping[str, tuple[int, int]]
    strange: np.ndarray | None = None

    def starts(self, split: str) -> np.ndarray:
        """(N,) first steps of a split's windows, of which each run's last ends it."""
        low, high = self.borders[split]
        some = [
            np.append(
                np.arange(a, b - self.window, self.stride[split]), b - self.window
            )
            for a, b in np.clip(self.runs, low, high)
            if b - a >= self.window
        ]
        return np.concatenate(some) if some else np.zeros(0, int)

    def windows(self, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Of values (T, …) the windows (N, window, …) that begin at these steps."""
        return values[starts[:, None] + np.arange(self.window)]


def strides(window: int, asked: int | None) -> dict[str, int]:
    """{split: steps from one window to the next}: those asked for, or by default half a
    window in train, and an eighth where each step is scored by the mean over windows.
    """
    parts = {"train": 2, "valid": 8, "test": 8}
    return {s: asked or max(1, window // part) for s, part in parts.items()}


def runs(times: clock.Clock, values: np.ndarray) -> np.ndarray:
    """(R, 2): from and to of the steps between breaks that have all values."""
    whole = np.isfinite(values).all(1)
    joined = ~times.breaks & whole[1:] & whole[:-1]
    first = np.flatnonzero(whole & np.r_[True, ~joined])
    last = np.flatnonzero(whole & np.r_[~joined, True])
    return np.stack([first, last + 1], 1)


def borders(count: int, shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """{split: (from, to)} of so many steps: train, valid and test in this order."""
    test = count - round(count * shares["test"])
    valid = test - round(count * shares["valid"])
    return {"train": (0, valid), "valid": (valid, test), "test": (test, count)}


def check(name: str, made: Series) -> None:
    """Refuses a series of which a split has no window.

    Raises:
      InputError: with how many fit, and the longest window that would.
    """
    starts = {split: made.starts(split) for split in dataset.SPLITS}
    if all(map(len, starts.values())):
        return
    longest = {
        s: int(np.ptp(np.clip(made.runs, *made.borders[s]), 1).max(initial=0))
        for s in dataset.SPLITS
    }
    best = min(longest.values())
    counts = ", ".join(f"{len(starts[s])} in {s}" for s in starts)
    runs = ", ".join(f"{n:,} in {s}" for s, n in longest.items())
    cure = "give a longer series"
    if best >= 2:
        less = made._replace(window=best, stride=strides(best, None))
        fits = ", ".join(f"{len(less.starts(s))} in {s}" for s in starts)
        cure = f"window={best} would fit, {fits}; or give a longer series"
    raise config.InputError(
        f"'{name}' has {len(made.values):,} steps, too few for window={made.window}: "
        f"as many windows fit: {counts}. The longest runs without a gap are {runs}; "
        f"{cure}, or larger shares: valid=0.2,test=0.2"
    )


def notes(made: Series) -> list[str]:
    """What the time is, which breaks it has, and how many windows there are."""
    times, count = made.clock, len(made.values)
    words = ["no column of times: rows are taken as steps, one after the other"]
    if times.column:
        words = [
            f"time is {times.column}: {times.say(0)} to {times.say(count - 1)}, a step "
            f"is {times.words(times.step)}"
        ]
    rows = np.flatnonzero(times.breaks) + 1
    gaps = np.diff(times.times).astype(float)[rows - 1]
    later = gaps > times.step
    kinds = (later, "gaps"), (~later, "times that repeat, fall back or come early")
    for part, what in kinds:
        if part.any():
            row, gap = rows[part][0], gaps[part][0]
            words.append(
                f"{what}: {part.sum():,}, first in row {row + 1}, {times.say(row)}, "
                f"{times.words(gap)} after the row before; rows stay in the order of "
                "the file, and no window crosses one"
            )
    starts = {split: made.starts(split) for split in dataset.SPLITS}
    parts = [
        f"{len(starts[s]):,} of {s}, from {times.say(made.borders[s][0])}, every "
        f"{made.stride[s]}"
        for s in starts
    ]
    first = np.concatenate(list(starts.values()))
    out = count - len(np.unique(first[:, None] + np.arange(made.window)))
    words.append(
        f"windows of {made.window} steps × {len(made.names)} features: "
        f"{'; '.join(parts)}; {out:,} of {count:,} steps are in none"
    )
    return words
