"""The rows of one or several runs as settings, lines and an x axis."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from aejax import config
from aejax.report import trials, words

# Okabe and Ito's hues, darker where thin lines need it, then two of Paul Tol's.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#B8528F", "#3A9BD9", "#B87A00", "#882255")
PALETTE += ("#332288",)
PCA_AXES = ("dataset", "binarize", "latent_dim")


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows with their values as they are; None stands for what one of them lacks."""
    table = pd.DataFrame(rows, dtype=object)
    return table.where(table.notna(), None)


@dataclasses.dataclass(eq=False)
class Setting:
    """The members that differ by seed only."""

    run: Any
    name: str  # of the run
    axes: dict[str, Any]  # all columns of the configuration but the seed
    rows: pd.DataFrame  # its evaluations
    final: Mapping[str, Any]  # its line of the summary; empty where there is none
    pca: float | None = None  # test mse of PCA on the same data, as many dimensions
    rank: int | None = None  # among the trials of a search

    def metric(self, name: str) -> tuple[float, float, float] | None:
        """Final test mean and 95 % interval; the mean three times with one seed."""
        mean, *ends = (self.final.get(f"{name}_{e}") for e in ("mean", "low", "high"))
        if mean is None:
            return None
        return (mean, mean, mean) if None in ends else (mean, *ends)

    @property
    def measure(self) -> str:
        """The column of its error: mse, if it has one; tokens are right or wrong."""
        if self.axes.get("likelihood") == "tokens":
            return "error_rate"
        known = self.rows.reindex(columns=list(words.ERRORS)).notna().any()
        return "mse" if known["mse"] else str(known[::-1].idxmax())

    @property
    def error(self) -> tuple[float, float, float] | None:
        """Its measure, as ``metric``."""
        return self.metric(self.measure)

    def evaluated(self, name: str, split: str) -> pd.DataFrame:
        """Seeds, epochs and values; a value is missing where a member diverged."""
        rows = self.rows.reindex(columns=["split", "seed", "epoch", name])
        return rows[rows["split"] == split].astype({name: float})

    def epochs(self, name: str, split: str) -> pd.DataFrame:
        """Mean, lowest and highest value over seeds: mean, min, max by epoch."""
        rows = self.evaluated(name, split).dropna()
        return rows.groupby("epoch")[name].agg(["mean", "min", "max"])

    def seeds(self, name: str, split: str = "test") -> dict[int, float]:
        """{seed: final value} where it did not diverge."""
        rows = self.evaluated(name, split)
        last = rows[rows["epoch"] == rows["epoch"].max()].dropna()
        return dict(zip(last["seed"], last[name], strict=True))


@dataclasses.dataclass(eq=False)
class Line:
    """The settings that differ by the x axis only; one colour in every figure."""

    label: str
    settings: list[Setting]
    color: str = ""  # only of those that are drawn

    @property
    def score(self) -> float:
        """The lowest final test error, or rank; infinite where there is none."""
        if ranks := [s.rank for s in self.settings if s.rank is not None]:
            return min(ranks)
        return min((s.error[0] for s in self.settings if s.error), default=math.inf)


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

    @property
    def measures(self) -> list[str]:
        """The columns of errors, of which most runs have one."""
        kinds = {s.measure for s in self.settings}
        return [name for name in words.ERRORS if name in kinds]


def read(runs: Sequence[Any]) -> Table:
    """The table of these runs; the order of settings is that of their rows."""
    names = [run.dir.name if run.dir else "run" for run in runs]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names, 1)]
    named = zip(runs, names, strict=True)
    swept = dict.fromkeys(n for run in runs for n in (*run.swept, *run.config.hparams))
    columns = [*config.AXES, *swept]
    settings = [s for run, name in named for s in _settings(run, name, columns)]
    rows = [row for run in runs for row in run.summary if row["objective"] == "pca"]
    pca = {tuple(row[n] for n in PCA_AXES): row for row in rows}
    for setting in settings:
        row = pca.get(tuple(setting.axes[n] for n in PCA_AXES), {})
        setting.pca = row.get("mse_mean") if setting.measure == "mse" else None
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
    best = {}
    if "search" in run.info:  # the others are in its own section
        some = trials.best(trials.read(run), len(PALETTE))
        best = {t.members.start: t.number for t in some}
    finals = [s | {"split": None} for s in run.summary if s["objective"] != "pca"]
    table = frame([*sorted(run.rows, key=lambda row: row["member"]), *finals])
    columns = [c for c in columns if c in table and c != "seed"]
    groups = table.groupby(columns, sort=False, dropna=False) if columns else ()
    settings = []
    for _, same in groups:
        axes = same[columns].iloc[0].to_dict()
        final = same[same["split"].isna()].to_dict("records")
        rows = same[same["split"].notna()]
        if "search" in run.info:
            if not (of := best.keys() & set(rows["member"])):
                continue
            axes["trial"] = best[of.pop()]
        # What halving has stopped is not drawn beside what went on to the end.
        if not final and run.stopped and set(rows["member"]) <= run.stopped.keys():
            continue
        settings.append(Setting(run, name, axes, rows, final[0] if final else {}))
        if "trial" in axes:
            settings[-1].rank = [*best.values()].index(axes["trial"])
    return settings


def _x_axis(runs: Sequence[Any], settings: Sequence[Setting]) -> str | None:
    """The bottleneck size if it varies, else the first number that is swept."""
    axes = frame([s.axes for s in settings])
    if "trial" in axes:  # each is a point of its own
        return None
    for name in ("latent_dim", *(n for run in runs for n in run.swept if n != "seed")):
        values = axes.get(name, pd.Series(dtype=object)).dropna().unique()
        if len(values) > 1 and all(isinstance(v, (int, float)) for v in values):
            return name
    return None


def _lines(settings: Sequence[Setting], x: str | None, several: bool) -> list[Line]:
    """Settings joined along x, named by the other columns that vary.

    That some objectives lack one is in their name already.
    """
    axes = frame([s.axes for s in settings])
    columns = [c for c in axes if c not in (x, "objective") and axes[c].nunique() > 1]
    if "trial" in axes:
        columns = ["trial"]
    columns = ["objective", *columns] if len(axes) else []
    keys = [pd.Series([s.name for s in settings]), *(axes[c] for c in columns)]
    lines = []
    for _, same in axes.groupby(keys, sort=False, dropna=False) if columns else ():
        if x:  # what has no value on the x axis comes first
            same = same.sort_values(x, na_position="first", kind="stable")
        some = [settings[i] for i in same.index]
        label = [some[0].name] * several
        label += [words.describe(c, some[0].axes) for c in columns]
        lines.append(Line(" · ".join(filter(None, label)), some))
    return lines


def described(setting: Setting) -> str:
    """A setting by what is swept in its run: 'vae · 8 latent dimensions'."""
    parts = (words.describe(name, setting.axes) for name in setting.run.swept)
    return " · ".join(filter(None, parts))


def final(table: Table) -> tuple[list[str], list[tuple[str, ...]]]:
    """Headers and rows of the final test metrics: one per setting, seeds averaged."""
    settings = [s for s in table.settings if s.final]
    if not settings:
        return [], []
    facts = frame([{"run": s.name} | s.axes | s.final for s in settings])
    always = ["run"] * (len(table.runs) > 1) + ["objective", "latent_dim"]
    names = dict.fromkeys([*always, *(n for s in settings for n in s.axes)])
    varied = [n for n in names if n in always or facts[n].nunique() > 1]
    texts = facts[varied].map(words.text).rename(columns=words.SHORT)
    whole = facts["n_seeds"] + facts["diverged"]
    texts["n"] = [
        str(n) + f" of {total}" * (n < total)
        for n, total in zip(facts["n_seeds"], whole, strict=True)
    ]
    texts["params"] = facts["parameters"].map("{:,}".format)
    for measure in table.measures:
        texts = texts.assign(**_errors(settings, measure))
    second = [name for name in words.ERRORS if name not in table.measures]
    for metric in (*second, "nll", "kl", "loss"):
        values = facts.get(f"{metric}_mean")
        if values is not None and values.notna().any():
            digits = 3 if metric in second else 2
            texts[words.ERRORS.get(metric, metric)] = [
                words.fixed(v, digits) for v in values
            ]
    return list(texts), list(texts.itertuples(index=False, name=None))


def _errors(settings: Sequence[Setting], measure: str) -> dict[str, list[str]]:
    """The column of an error, with intervals, and that of PCA where it has a number."""
    bars = [s.metric(measure) for s in settings]
    # 2 digits of the smallest error: more would not fit beside its interval.
    least = min((bar[0] for bar in bars if bar), default=1.0)
    digits = max(0, 1 - math.floor(math.log10(max(least, 1e-7))))
    column = []
    for mean, low, high in (bar or (None,) * 3 for bar in bars):
        ends = [words.fixed(v, digits) for v in (low, high)]
        text = words.fixed(mean, digits)
        column.append(text + f" [{', '.join(ends)}]" * (low != high))
    known = any(bar and bar[1] != bar[2] for bar in bars)
    out = {words.ERRORS[measure] + " [95 %]" * known: column}
    if measure == "mse" and any(s.pca is not None for s in settings):
        out["PCA mse"] = [words.fixed(s.pca, digits) for s in settings]
    return out
