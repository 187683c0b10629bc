"""The rows of one or several runs as settings, lines and an x axis."""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config

# Okabe and Ito's hues, darker where thin lines need it, then two of Paul Tol's.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#B8528F", "#3A9BD9", "#B87A00", "#882255")
PALETTE += ("#332288",)
PCA_AXES = ("dataset", "binarize", "latent_dim")
SHORT = {"latent_dim": "latent", "learning_rate": "lr", "batch_size": "batch"}


@dataclasses.dataclass(eq=False)
class Setting:
    """The lanes that differ by seed only."""

    run: Any
    name: str  # of the run
    axes: dict[str, Any]  # every column but the seed
    rows: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)
    final: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of the summary
    pca: float | None = None  # test mse of PCA on the same data, as many dimensions

    def metric(self, name: str) -> tuple[float, float, float] | None:
        """Final test mean and 95 % interval; the mean three times with one seed."""
        mean, *ends = (self.final.get(f"{name}_{e}") for e in ("mean", "low", "high"))
        if mean is None:
            return None
        return (mean, mean, mean) if None in ends else (mean, *ends)

    @property
    def mse(self) -> tuple[float, float, float] | None:
        return self.metric("mse")

    def seeds(self, name: str, split: str = "test") -> dict[int, float]:
        """{seed: final value} where it did not diverge."""
        rows = [r for r in self.rows if r["split"] == split and name in r]
        last = max((r["epoch"] for r in rows), default=0)
        good = [r for r in rows if r["epoch"] == last and not r["diverged"]]
        return {r["seed"]: r[name] for r in good if r[name] is not None}


@dataclasses.dataclass(eq=False)
class Line:
    """The settings that differ by the x axis only; one colour in every figure."""

    label: str
    settings: list[Setting]
    color: str = ""  # only of those that are drawn

    @property
    def score(self) -> float:
        """The lowest final test mse; infinite where there is none."""
        return min((s.mse[0] for s in self.settings if s.mse), default=math.inf)


class Table(NamedTuple):
    """What every section is made from."""

    runs: Sequence[Any]
    names: list[str]  # of the runs, unique
    x: str | None  # the axis to draw against; None where no number is swept
    lines: list[Line]  # in the order of their rows
    leaders: list[Line]  # the best of each run and objective, then all others
    drawn: list[Line]  # all lines up to eight, else the first eight leaders
    settings: list[Setting]
    pca: list[Mapping[str, Any]]  # its rows of the summaries


def read(runs: Sequence[Any]) -> Table:
    """The table of these runs; the order of settings is that of their rows."""
    names = [run.dir.name if run.dir else "run" for run in runs]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names, 1)]
    named = zip(runs, names, strict=True)
    own = dict.fromkeys(n for run in runs for n in (*run.axes, *run.config.hparams))
    columns = [*config.AXES, *own]
    settings = [s for run, name in named for s in _settings(run, name, columns)]
    rows = [row for run in runs for row in run.summary if row["objective"] == "pca"]
    pca = {tuple(row[n] for n in PCA_AXES): row for row in rows}
    for setting in settings:
        row = pca.get(tuple(setting.axes[n] for n in PCA_AXES), {})
        setting.pca = row.get("mse_mean")
    x = _x_axis(runs, settings)
    lines = _lines(settings, x, len(runs) > 1)
    ranked = sorted(lines, key=lambda line: line.score)
    best = {
        (line.settings[0].name, line.settings[0].axes["objective"]): line
        for line in reversed(ranked)
    }
    leaders = sorted(ranked, key=lambda line: line not in best.values())
    drawn = [line for line in lines if line in leaders[: len(PALETTE)]]
    for line, color in zip(drawn, PALETTE, strict=False):
        line.color = color
    return Table(runs, names, x, lines, leaders, drawn, settings, [*pca.values()])


def _settings(run: Any, name: str, columns: Sequence[str]) -> list[Setting]:
    found: dict[tuple, Setting] = {}

    def at(row):
        axes = {c: row[c] for c in columns if c in row and c != "seed"}
        return found.setdefault(tuple(axes.items()), Setting(run, name, axes))

    for row in sorted(run.rows, key=lambda row: row["lane"]):
        at(row).rows.append(row)
    for row in (s for s in run.summary if s["objective"] != "pca"):
        at(row).final = row
    return list(found.values())


def _x_axis(runs: Sequence[Any], settings: list[Setting]) -> str | None:
    """The bottleneck size if it varies, else the first number that is swept."""
    for name in ("latent_dim", *(n for run in runs for n in run.axes if n != "seed")):
        values = {s.axes.get(name) for s in settings} - {None}
        if len(values) > 1 and all(isinstance(v, (int, float)) for v in values):
            return name
    return None


def _lines(settings: list[Setting], x: str | None, several: bool) -> list[Line]:
    """Settings joined along x, named by the other columns that vary."""
    columns = dict.fromkeys(c for s in settings for c in s.axes if c != x)
    varied = [c for c in columns if _varies(s.axes.get(c) for s in settings)]
    varied = dict.fromkeys(("objective", *varied))
    lines: dict[tuple, Line] = {}
    for s in settings:
        words = [s.name] * several + [describe(c, s.axes) for c in varied]
        key = (s.name, *(s.axes.get(c) for c in varied))
        new = Line(" · ".join(filter(None, words)), [])
        lines.setdefault(key, new).settings.append(s)
    for line in lines.values():  # what has no value on the x axis comes first
        line.settings.sort(
            key=lambda s: -math.inf if s.axes.get(x) is None else s.axes[x]
        )
    return list(lines.values())


def _varies(values: Iterable[Any]) -> bool:
    """Whether there are two: that some objectives lack one is in their name."""
    return len(set(values) - {None}) > 1


def final(table: Table) -> tuple[list[str], list[tuple[str, ...]]]:
    """Headers and rows of the final test metrics: one per setting, seeds averaged."""
    settings = [s for s in table.settings if s.final]
    finals = [s.final for s in settings]
    always = ["run"] * (len(table.runs) > 1) + ["objective", "latent_dim"]
    columns: dict[str, list[str]] = {}
    for name in dict.fromkeys([*always, *(n for s in settings for n in s.axes)]):
        values = [({"run": s.name} | s.axes).get(name) for s in settings]
        if name in always or _varies(values):
            columns[SHORT.get(name, name)] = [text(v) for v in values]
    columns["n"] = [
        str(f["n_seeds"]) + f" of {f['n_seeds'] + f['diverged']}" * bool(f["diverged"])
        for f in finals
    ]
    columns["params"] = [f"{f['parameters']:,}" for f in finals]
    # 2 digits of the smallest error: more would not fit beside its interval.
    least = min((s.mse[0] for s in settings if s.mse), default=1.0)
    digits = max(0, 1 - math.floor(math.log10(max(least, 1e-7))))
    known = any(f["mse_low"] is not None for f in finals)
    shown = columns["mse [95 %]" if known else "mse"] = []
    for f in finals:
        mean, *ends = (_number(f[f"mse_{e}"], digits) for e in ("mean", "low", "high"))
        shown.append(mean + f" [{', '.join(ends)}]" * (f["mse_low"] is not None))
    columns["PCA mse"] = [_number(s.pca, digits) for s in settings]
    for metric in ("nll", "kl", "loss"):
        values = [f.get(f"{metric}_mean") for f in finals]
        if any(v is not None for v in values):
            columns[metric] = [_number(v, 2) for v in values]
    return list(columns), list(zip(*columns.values(), strict=True))


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def numeric(column: Sequence[str]) -> bool:
    """Whether every cell is a number, an interval, a count such as 3 of 5, or –."""
    number = re.compile(r"[-\d.,e\[\] –]*\d[-\d.,e\[\] ]*|–|\d+ of \d+")
    return all(map(number.fullmatch, column))


def describe(name: str | None, axes: Mapping[str, Any]) -> str:
    """One axis value in words: 'ae', 'beta 4', '' where it has none."""
    value = axes.get(name)
    if value is None or name in ("objective", "network", "dataset"):
        return value or ""
    if name == "latent_dim":
        return f"{value} latent dimension{'s' * (value != 1)}"
    return f"{SHORT.get(name, title(name))} {text(value)}"


def described(setting: Setting) -> str:
    """A setting by what is swept in its run: 'vae · 8 latent dimensions'."""
    words = (describe(name, setting.axes) for name in setting.run.axes)
    return " · ".join(filter(None, words))


def title(name: str | None) -> str:
    """An axis as a heading; 'setting' where nothing is swept."""
    return (name or "setting").replace("_", " ").replace("dim", "dimensions")


def text(value: Any) -> str:
    """A value as prose and tables write it."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(v)}" for name, v in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def measured(v: float | None) -> str:
    """A measured number with three significant digits."""
    if v is None:
        return "–"
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:#.3g}".rstrip(".")


def cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and texts of rows of measured numbers and names."""
    columns = list(dict.fromkeys(name for row in rows for name in row))

    def cell(v: Any) -> str:
        return measured(v) if isinstance(v, float) else text(v)

    return columns, [[cell(row.get(n)) for n in columns] for row in rows]


def interval(metric: tuple[float, float, float] | None) -> str:
    """Mean [low, high], or the mean alone where one seed gives no interval."""
    mean, low, high = map(measured, metric or (None,) * 3)
    return mean if low == high else f"{mean} [{low}, {high}]"
