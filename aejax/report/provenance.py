"""The words and tables of the page: headline, differences, settings, origin."""

import base64
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from aejax.report import page, words
from aejax.report import table as tables


def headline(table: tables.Table) -> dict[str, Any]:
    """Title, key numbers and what is unfinished, for the template."""
    infos = [run.info for run in table.runs]
    members, programs, training, compiling = (
        sum(info.get(n) or 0 for info in infos)
        for n in ("members", "programs", "train_s", "compile_s")
    )
    sets, kinds, networks = (
        ", ".join(dict.fromkeys(s.axes[n] for s in table.settings))
        for n in ("dataset", "objective", "network")
    )
    speed = max(info.get("steps_per_s") or 0 for info in infos)
    what = "autoencoder" + "s" * (members != 1)
    numbers = [
        (f"{members:,}", what),
        (f"{programs:,}", "compiled program" + "s" * (programs != 1)),
        (_duration(training), f"training, + {_duration(compiling)} compiling"),
        (f"{speed:,.0f}", "training steps per second"),
    ]
    lost = {
        (s.name, row.member): f"{tables.described(s)} seed {row.seed}"
        for s in table.settings
        for row in s.rows.itertuples()
        if row.diverged
    }
    several = f"{len(infos)} runs, " * (len(infos) > 1)
    devices = dict.fromkeys(info.get("device") for info in infos)
    named = zip(table.names, infos, strict=True)
    return {
        "title": f"{several}{members:,} {what}" + f" on {sets}" * bool(sets),
        "kicker": " · ".join(table.names),
        "facts": " · ".join(filter(None, [kinds, networks, *devices])),
        "x": words.title(table.x),
        "numbers": [n for n in numbers if n[0] not in ("0", "0.0 s")],
        "diverged": list(lost.values()),
        "problems": list(dict.fromkeys(p for run in table.runs for p in run.problems)),
        "unfinished": [name for name, info in named if not info.get("finished")],
    }


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _asked(run: Any) -> dict[str, Any]:
    """The configuration, with all values of what is swept."""
    values = run.config.to_json()
    swept = {n: ", ".join(map(words.text, v)) for n, v in run.axes.items()}
    for name, entry in run.info.get("search", {}).get("space", {}).items():
        text = "{low:g} to {high:g}".format_map(entry) if type(entry) is dict else entry
        swept[name] = words.text(text)
    return values | values.pop("hparams") | swept


def _pairs(
    table: tables.Table, values: Sequence[Mapping[str, Any]], title: str = ""
) -> page.Cells:
    """A row per name and a column per run."""
    rows = [
        [name.replace("_", " "), *(words.text(one.get(name)) for one in values)]
        for name in dict.fromkeys(name for one in values for name in one)
    ]
    return page.Cells(["", *table.names], rows, title)


def differences(table: tables.Table) -> page.Section | None:
    """Several runs: what their configurations do not share."""
    if len(table.runs) < 2:
        return None
    cells = _pairs(table, [_asked(run) for run in table.runs])
    rows = [row for row in cells.rows if len(set(row[1:])) > 1]
    text = "" if rows else "Nothing: the configurations are equal."
    grids = [cells._replace(rows=rows)] * bool(rows)
    return page.Section("differences", "What differs", tables=grids, text=text)


def summary(table: tables.Table) -> page.Section | None:
    """Every setting's final test metrics, PCA's beside them."""
    headers, rows = tables.final(table)
    cells = page.Cells(headers, rows)
    return page.Section("summary", "Every setting", tables=[cells]) if rows else None


def data(table: tables.Table) -> page.Section | None:
    """What was done to the data, where their meaning had to be understood."""
    facts = {
        (entry["data"]["name"], note): None
        for run in table.runs
        for entry in run.info.get("plan") or ()
        for note in entry["data"].get("notes", ())
    }
    if not facts:
        return None
    cells = page.Cells(["data set", "what was done"], [list(pair) for pair in facts])
    return page.Section("data", "The data", tables=[cells])


def origin(table: tables.Table) -> page.Section:
    """Configuration, versions, device, timings and the command that does it again."""
    hidden = ("configuration", "axes", "sealed", "summary")
    infos = [
        {n: v for n, v in run.info.items() if n not in hidden} for run in table.runs
    ]
    cells = [
        _pairs(table, [_asked(run) for run in table.runs], "configuration"),
        _pairs(table, infos, "the run"),
    ]
    code = "\n".join(run.info.get("command") or "" for run in table.runs)
    return page.Section("origin", "How it was made", tables=cells, code=code.strip())


def appended(runs: Sequence[Any]) -> list[pathlib.Path]:
    """The ``task-NAME.json`` in the runs' directories, in order of name."""
    return [f for run in runs if run.dir for f in sorted(run.dir.glob("task-*.json"))]


def task(path: pathlib.Path) -> page.Section:
    """The section of a ``task-NAME.json``.

    The file holds, all optional, ``title``, ``text`` and ``metrics``, which is
    {name: value} or a list of such rows; its picture is ``task-NAME.png``.
    """
    task = json.loads(path.read_text())
    metrics = task.get("metrics", [])
    columns, cells = words.cells([metrics] if isinstance(metrics, dict) else metrics)
    figures, picture = [], path.with_suffix(".png")
    if picture.is_file():
        png = base64.b64encode(picture.read_bytes()).decode()
        figures.append(page.Figure(path.stem, wide=True, png=png))
    grids = [page.Cells(columns, cells)] * bool(cells)
    title = task.get("title", path.stem)
    return page.Section(path.stem, title, figures, grids, task.get("text", ""))
