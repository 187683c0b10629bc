"""The rows of one or several runs as settings, lines and an x axis."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config

# Okabe and Ito's hues, darker where thin lines need it, then two of Paul Tol's.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#B8528F", "#3A9BD9", "#B87A00", "#882255")
PALETTE += ("#332288",)
GREY = "#B4BBC2"
METRICS = ("mse", "nll", "loss")  # the first that was measured is what is compared
PCA_AXES = ("dataset", "binarize", "latent_dim")
_SHORT = {"learning_rate": "lr", "batch_size": "batch"}


class Setting(NamedTuple):
    """The lanes that differ by seed only."""

    run: Any
    axes: dict[str, Any]  # every configuration value but the seed
    final: Mapping[str, Any]  # its row of the summary; empty before the end
    rows: list[Mapping[str, Any]]

    def metric(self, name: str) -> tuple[float, float, float] | None:
        """Final test mean and 95 % interval; the mean three times with one seed."""
        mean, low, high = (
            self.final.get(f"{name}_{e}") for e in ("mean", "low", "high")
        )
        if mean is None:
            return None
        return (mean, mean, mean) if low is None else (mean, low, high)


class Line(NamedTuple):
    """The settings that differ by the x axis only; one colour in every figure."""

    label: str
    color: str
    settings: list[Setting]


class Table(NamedTuple):
    """What every section is made from."""

    runs: list[Any]
    names: list[str]  # of the runs, unique
    x: str | None  # the axis to draw against; None where no number is swept
    metric: str
    lines: list[Line]
    pca: dict[tuple, Mapping[str, Any]]  # by the values of PCA_AXES

    @property
    def settings(self) -> list[Setting]:
        return [s for line in self.lines for s in line.settings]

    @property
    def clear(self) -> list[Line]:
        """The lines drawn in colour: all up to eight, else the eight leaders."""
        return [line for line in self.lines if line.color != GREY]

    @property
    def leaders(self) -> list[Line]:
        """The best line of each run and objective, best first, then all others."""
        done = sorted(self.lines, key=self.score)
        kinds = [(id(s.run), s.axes["objective"]) for (s, *_) in (d[2] for d in done)]
        order = sorted(range(len(done)), key=lambda i: kinds.index(kinds[i]) != i)
        return [done[i] for i in order]

    def score(self, line: Line) -> float:
        """The lowest final metric of a line; infinite where it has none."""
        found = (s.metric(self.metric) for s in line.settings)
        return min((f[0] for f in found if f), default=math.inf)

    def pca_mse(self, setting: Setting) -> float | None:
        """Test mse of PCA with as many dimensions, on the same data."""
        place = tuple(setting.axes[n] for n in PCA_AXES)
        return self.pca.get(place, {}).get("mse_mean")


def read(runs: Sequence[Any]) -> Table:
    """The table of these runs; the order of settings is that of their rows."""
    names = [run.dir.name if run.dir else "run" for run in runs]
    names = [
        f"{name} ({i})" if names.count(name) > 1 else name
        for i, name in enumerate(names, 1)
    ]
    settings = [s for run in runs for s in _settings(run)]
    finals = {n for s in settings for n, v in s.final.items() if v is not None}
    metric = next((m for m in METRICS if f"{m}_mean" in finals), METRICS[0])
    x = _x_axis(runs, settings)
    columns = dict.fromkeys(("objective", "network", "dataset"))
    columns |= dict.fromkeys(c for s in settings for c in s.axes if c != x)
    columns = _telling(settings, list(columns))
    lines: dict[tuple, Line] = {}
    for setting in settings:
        name = next(n for n, r in zip(names, runs, strict=True) if r is setting.run)
        words = [name] * (len(runs) > 1) + [describe(c, setting.axes) for c in columns]
        key = (name, *(setting.axes.get(c) for c in columns))
        line = Line(" · ".join(filter(None, words)), "", [])
        lines.setdefault(key, line).settings.append(setting)
    for line in lines.values():  # what has no value on the x axis comes first
        line.settings.sort(
            key=lambda s: -math.inf if (v := s.axes.get(x)) is None else v
        )
    pca = {
        tuple(row[n] for n in PCA_AXES): row
        for run in runs
        for row in run.summary
        if row["objective"] == "pca"
    }
    table = Table(list(runs), names, x, metric, list(lines.values()), pca)
    best = {id(line) for line in table.leaders[: len(PALETTE)]}
    hues = iter(PALETTE)
    colors = [next(hues) if id(line) in best else GREY for line in table.lines]
    named = zip(table.lines, colors, strict=True)
    return table._replace(lines=[line._replace(color=c) for line, c in named])


def _settings(run: Any) -> list[Setting]:
    asked = run.config.to_json()
    asked |= asked.pop("hparams")

    def axes(row):  # a row has the values of its lane; the run those it does not vary
        own = {n: row[n] for n in (*config.AXES, *run.axes, *asked) if n in row}
        return {n: plain(v) for n, v in (asked | own).items() if n != "seed"}

    found: dict[tuple, Setting] = {}
    for _, rows in itertools.groupby(sorted(run.rows, key=_lane), key=_lane):
        rows = list(rows)
        mine = axes(rows[0])
        new = Setting(run, mine, {}, [])
        found.setdefault(tuple(mine.items()), new).rows.extend(rows)
    for row in run.summary:
        if row["objective"] != "pca":
            mine = axes(row)
            old = found.get(tuple(mine.items()), Setting(run, mine, {}, []))
            found[tuple(mine.items())] = old._replace(final=row)
    return list(found.values())


def _lane(row: Mapping[str, Any]) -> int:
    return row["lane"]


def _x_axis(runs: Sequence[Any], settings: list[Setting]) -> str | None:
    counts = {}
    for name in ("latent_dim", *(n for run in runs for n in run.axes if n != "seed")):
        values = {s.axes.get(name) for s in settings} - {None}
        if len(values) > 1 and all(isinstance(v, (int, float)) for v in values):
            counts[name] = math.inf if name == "latent_dim" else len(values)
    return max(counts, key=counts.get, default=None)


def _telling(settings: list[Setting], columns: list[str]) -> list[str]:
    """The objective and the columns without which two settings look the same."""
    kept, parts = [], 0
    for column in columns:
        tried = [*kept, column]
        split = len({tuple(s.axes.get(c) for c in tried) for s in settings})
        kept, parts = (tried, split) if split > parts else (kept, parts)
    return kept


def describe(name: str | None, axes: Mapping[str, Any]) -> str:
    """One axis value in words: 'ae', 'beta 4', '' where it has none."""
    value = axes.get(name)
    if value is None or name in ("objective", "network", "dataset"):
        return "" if value is None else text(value)
    if name == "latent_dim":
        return f"{value} latent dimension{'s' * (value != 1)}"
    return f"{_SHORT.get(name, title(name))} {text(value)}"


def title(name: str | None) -> str:
    """An axis as a heading; 'setting' where nothing is swept."""
    return (name or "setting").replace("_", " ").replace("dim", "dimensions")


def plain(value: Any) -> Any:
    """A value as rows hold it: widths are text."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def text(value: Any) -> str:
    """A value as prose and tables write it."""
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(plain(value))


def measured(v: float | None) -> str:
    """A measured number with three significant digits."""
    if v is None:
        return "–"
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:#.3g}".rstrip(".")


def interval(metric: tuple[float, float, float] | None) -> str:
    """Mean [low, high], or the mean alone where one seed gives no interval."""
    if metric is None or metric[1] == metric[2]:
        return measured(metric and metric[0])
    return f"{measured(metric[0])} [{measured(metric[1])}, {measured(metric[2])}]"
