"""Rows of members -> points of settings: a mean and its interval over seeds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aejax.evaluate import metrics as measures


class Point(NamedTuple):
    """One metric of a setting, at one step, on one split.

    ``low`` and ``high`` are the 95 % interval over seeds; None of one seed.
    """

    setting: str
    split: str
    metric: str
    step: int
    mean: float
    low: float | None
    high: float | None

    @property
    def curve(self) -> str:
        """What its steps ascend in."""
        return f"{self.setting}/{self.split}"

    def values(self) -> Iterator[tuple[str, float]]:
        """Those there are: split/metric, split_interval/metric_low and metric_high.

        Tools lay out charts by what stands before the slash: means come first.
        """
        yield f"{self.split}/{self.metric}", self.mean
        for end, value in (("low", self.low), ("high", self.high)):
            if value is not None:
                yield f"{self.split}_interval/{self.metric}_{end}", value


class Line(NamedTuple):
    """A setting: its values of the axes, and the means of its final test metrics."""

    setting: str
    axes: dict[str, Any]
    metrics: dict[str, float]


def by_step(points: Sequence[Point]) -> dict[int, dict[str, float]]:
    """{step: {split/metric/setting: value}} of tools with one list of metrics."""
    out: dict[int, dict[str, float]] = {}
    for p in points:
        names = ((f"{name}/{p.setting}", v) for name, v in p.values())
        out.setdefault(p.step, {}).update(names)
    return out


def cells(lines: Sequence[Line]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a table of settings; None where one lacks a value."""
    facts = [{"setting": x.setting} | x.axes | x.metrics for x in lines]
    columns = list(dict.fromkeys(name for row in facts for name in row))
    return columns, [[row.get(name) for name in columns] for row in facts]


class Series:
    """Takes rows as they come.

    Args:
      axes: names of what is swept.
      limit: settings that points are made of; the first.
      seeds: how many members a setting has, if their rows come in several calls.
    """

    def __init__(self, axes: Sequence[str], limit: int, seeds: int | None = None):
        self._axes = [name for name in axes if name != "seed"]
        self._limit, self._seeds = limit, seeds
        self._names: dict[tuple, str | None] = {}  # None of those beyond the limit
        self._left_out = False
        self._waiting: dict[tuple, dict[int, Mapping[str, Any]]] = {}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> list[Point]:
        """The points of these rows, and of earlier ones that they complete."""
        for row in rows:
            if name := self._name(row):
                place = name, row["split"], row["step"]
                self._waiting.setdefault(place, {})[row["member"]] = row
        count = self._seeds or 1
        whole = [p for p, known in self._waiting.items() if len(known) >= count]
        return self._points(whole)

    def rest(self) -> list[Point]:
        """Those of settings of which not all members have got so far: by halving."""
        return self._points(list(self._waiting))

    def left_out(self) -> bool:
        """Whether there are more settings than the limit; once."""
        before, self._left_out = self._left_out, None in self._names.values()
        return self._left_out and not before

    def table(self, summary: Sequence[Mapping[str, Any]]) -> list[Line]:
        """Those of a run's summary that have a name."""
        lines = []
        for row in summary:
            if row["objective"] != "pca" and (name := self._name(row)):
                ends = {n: v for n, v in row.items() if n.endswith("_mean")}
                metrics = {
                    n.removesuffix("_mean"): v for n, v in ends.items() if v is not None
                }
                axes = {n: row.get(n) for n in self._axes or ("objective",)}
                lines.append(Line(name, axes, metrics))
        return lines

    def _points(self, places: Sequence[tuple]) -> list[Point]:
        out = []
        for setting, split, step in sorted(places, key=lambda place: place[2]):
            rows = list(self._waiting.pop((setting, split, step)).values())
            columns = list(rows[0])
            for metric in columns[columns.index("split") + 1 :]:
                if metric == "diverged":  # the metrics' end
                    break
                values = [r[metric] for r in rows if r[metric] is not None]
                if values:
                    ends = measures.over_seeds(metric, values)
                    out.append(Point(setting, split, metric, step, *ends))
        return out

    def _name(self, row: Mapping[str, Any]) -> str | None:
        """Of a row's setting: 'vae latent_dim 8', of signs that all tools take."""
        key = tuple(str(row.get(n)) for n in self._axes)
        if key not in self._names:
            parts = (_part(name, row.get(name)) for name in self._axes)
            name = " ".join(filter(None, parts)) or str(row["objective"])
            name = re.sub(r"[^\w. -]+", "_", name)
            name += f" {len(self._names)}" * (name in self._names.values())
            some = len(self._names) < self._limit
            self._names[key] = name if some else None
        return self._names[key]


def _part(name: str, value: Any) -> str:
    if value is None or name in ("objective", "network", "dataset"):
        return value or ""
    return f"{name} {value}"
