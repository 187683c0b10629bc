"""What is to be seen of an application, as data: ``report`` draws it.

A task may bring a panel of its own: anything with a ``title`` and ``draw(ax, color)``,
of matplotlib's axes and {system: colour}.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Images(NamedTuple):
    """Rows of examples, images (n, H, W, C) or series (n, T, F), in data units.

    The first row gives the range of all. Above 12 examples, or if ``wide``, it is as
    wide as the page.
    """

    title: str
    rows: Sequence[tuple[str, str, np.ndarray]]  # name at the left, note at the right
    wide: bool = False


class Curves(NamedTuple):
    """Lines: {system: points}; a point is (x, y) or, for a band, (x, mean, low, high).

    ``log`` names the logarithmic axes, "x", "y" or "xy". One system has one colour in
    all panels of a figure.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, ...]]]
    log: str = ""


class Bars(NamedTuple):
    """One number per system: {system: (mean, low, high)}, or one number thrice."""

    title: str
    x: str
    bars: Mapping[str, tuple[float, float, float]]


class Points(NamedTuple):
    """Points (N, 2) or (N, 3), coloured by class or by a number, with arrows.

    Attributes:
      labels: (N,) integers are classes; floats a scale, which ``unit`` names.
      names: of classes, where they are not their numbers.
      arrows: (N, 2), drawn from the points.
      curve: (M, 2), drawn through the plane.
    """

    title: str
    xy: np.ndarray
    labels: np.ndarray | None = None
    unit: str = ""
    arrows: np.ndarray | None = None
    curve: np.ndarray | None = None
    axes: tuple[str, ...] = ("z₁", "z₂", "z₃")
    names: Mapping[int, str] | None = None


class Grid(NamedTuple):
    """A table of numbers with a colour each, dark where large."""

    title: str
    values: np.ndarray  # (rows, columns)
    rows: Sequence[str]
    columns: Sequence[str]


class Timeline(NamedTuple):
    """Lines over time, as wide as the page: {name: values (T,)} at ``times`` (T,).

    Attributes:
      unit: of the values.
      limit: a level, drawn dashed.
      spans: (from, to) that are shaded.
      marks: (T,) bool: what is marked below the lines.
      borders: {name: where it begins}, of parts of the time.
      log: whether the values' axis is logarithmic.
    """

    title: str
    unit: str
    lines: Mapping[str, np.ndarray]
    times: np.ndarray
    limit: float | None = None
    spans: Sequence[tuple] = ()
    marks: np.ndarray | None = None
    borders: Mapping[str, Any] = {}
    log: bool = False


Panel = Images | Curves | Bars | Points | Grid | Timeline
