"""The words and tables of the page: headline, differences, settings, origin."""

import base64
import json
import pathlib
from typing import Any

from aejax.report import page
from aejax.report import table as tables

SHOWN = ("mse", "nll", "kl", "psnr")


def headline(table: tables.Table) -> dict[str, Any]:
    """Title, key numbers and what is unfinished, for the template."""
    infos = {name: r.info for name, r in zip(table.names, table.runs, strict=True)}
    total = {
        n: sum(info.get(n) or 0 for info in infos.values())
        for n in ("lanes", "programs", "train_s", "compile_s")
    }
    sets, kinds, networks = (
        ", ".join(dict.fromkeys(s.axes[n] for s in table.settings))
        for n in ("dataset", "objective", "network")
    )
    lanes, what = _count(total["lanes"], "autoencoder")
    compiling = f"training, + {_duration(total['compile_s'])} compiling"
    speed = max(info.get("steps_per_s") or 0 for info in infos.values())
    numbers = [
        (lanes, what),
        _count(total["programs"], "compiled program"),
        (_duration(total["train_s"]), compiling),
        (f"{speed:,.0f}", "training steps per second"),
    ]
    several = f"{len(infos)} runs, " * (len(infos) > 1)
    devices = dict.fromkeys(info.get("device") for info in infos.values())
    return {
        "title": f"{several}{lanes} {what}" + f" on {sets}" * bool(sets),
        "kicker": " · ".join(infos),
        "facts": " · ".join(filter(None, [kinds, networks, *devices])),
        "numbers": [n for n in numbers if n[0] not in ("0", "0.0 s")],
        "unfinished": [n for n, info in infos.items() if not info.get("finished")],
    }


def _count(n: int, what: str) -> tuple[str, str]:
    return f"{n:,}", what + "s" * (n != 1)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _asked(run: Any) -> dict[str, str]:
    """The configuration, with all values of what is swept."""
    values = run.config.to_json()
    values |= values.pop("hparams")
    swept = {n: ", ".join(map(tables.text, v)) for n, v in run.axes.items()}
    return {n: tables.text(v) for n, v in (values | swept).items()}


def differences(table: tables.Table) -> page.Section | None:
    """Several runs: what their configurations do not share."""
    if len(table.runs) < 2:
        return None
    asked = [_asked(run) for run in table.runs]
    names = dict.fromkeys(name for one in asked for name in one)
    rows = [[n.replace("_", " "), *(one.get(n, "–") for one in asked)] for n in names]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    columns = ["", *table.names]
    cells = [page.Cells(columns, rows, text=columns)] if rows else []
    text = [] if rows else ["Nothing: the configurations are equal."]
    return page.Section("differences", "What differs", text, tables=cells)


def diverged(table: tables.Table) -> page.Section | None:
    """The lanes that were frozen because a number was not finite."""
    first: dict[tuple, list] = {}
    for setting in table.settings:
        swept = [tables.describe(n, setting.axes) for n in setting.run.axes]
        where = [setting.name, " · ".join(filter(None, swept))]
        for row in (r for r in setting.rows if r["diverged"]):
            cells = [*where, row["lane"], row["seed"], row["epoch"]]
            first.setdefault((setting.name, row["lane"]), cells)
    if not first:
        return None
    columns = ["run", "setting", "lane", "seed", "seen at epoch"]
    cells = page.Cells(columns, [*first.values()], text=("run", "setting"))
    text = " ".join(_count(len(first), "lane")) + " diverged: a loss or gradient was "
    text += "not finite. Their numbers count nowhere."
    return page.Section("diverged", "Diverged lanes", [text], tables=[cells])


def summary(table: tables.Table) -> page.Section | None:
    """Every setting's final test metrics, PCA included."""
    done = [(d.label, s) for d in table.lines for s in d.settings if s.final]
    if not done:
        return None
    shown = [m for m in SHOWN if any(s.metric(m) for _, s in done)]
    several = len({row["dataset"] for row in table.pca}) > 1
    for row in table.pca:
        label = f"PCA · {row['dataset']}" if several else "PCA"
        final = {**row, "n_seeds": "–"}
        done.append((label, tables.Setting(None, "", row, final=final)))
    x = [table.x] if table.x else []
    rows = []
    for label, setting in done:
        row = [label, *(tables.text(setting.final.get(n)) for n in x)]
        row += [f"{setting.final['parameters'] or 0:,}", setting.final["n_seeds"]]
        rows.append(row + [tables.interval(setting.metric(m)) for m in shown])
    x = [n.replace("_", " ") for n in x]
    columns = ["setting", *x, "parameters", "seeds", *shown]
    text = (
        "Final test metrics: mean [95 % interval] over seeds. mse is the mean over "
        "data elements in squared data units, psnr is in dB; nll and kl are in nats, "
        "summed over a datum and averaged over examples."
    )
    cells = page.Cells(columns, rows, text=("setting",))
    return page.Section("summary", "Every setting", [text], tables=[cells])


def origin(table: tables.Table) -> page.Section:
    """Configuration, versions, device, timings and the command that does it again."""
    cells = []
    for name, run in zip(table.names, table.runs, strict=True):
        hidden = ("configuration", "axes")
        info = {n: tables.text(v) for n, v in run.info.items() if n not in hidden}
        which = f"{name}: " * (len(table.runs) > 1)
        for title, values in (("configuration", _asked(run)), ("the run", info)):
            rows = [(n.replace("_", " "), v) for n, v in values.items()]
            cells.append(page.Cells(("", ""), rows, which + title, ("",)))
    code = "\n".join(run.info.get("command") or "" for run in table.runs)
    return page.Section("origin", "How it was made", tables=cells, code=code.strip())


def appended(folder: pathlib.Path | None) -> list[page.Section]:
    """A section for each ``task-NAME.json`` in a run's directory, in order of name.

    The file holds, all optional, ``title``, ``text`` and ``metrics``, which is
    {name: value} or a list of such rows; its picture is ``task-NAME.png``.
    """
    return [_task(p) for p in sorted(folder.glob("task-*.json"))] if folder else []


def _task(path: pathlib.Path) -> page.Section:
    try:
        task = json.loads(path.read_text())
    except ValueError as error:
        return page.Section(path.stem, path.stem, [f"{path.name} is damaged: {error}"])
    metrics = task.get("metrics", [])
    rows = [metrics] if isinstance(metrics, dict) else metrics
    columns = list(dict.fromkeys(name for row in rows for name in row))
    words = [n for n in columns if any(isinstance(r.get(n), str) for r in rows)]
    cells = [[_cell(row.get(n)) for n in columns] for row in rows]
    grids = [page.Cells(columns, cells, text=words)] if cells else []
    figures, picture = [], path.with_suffix(".png")
    if picture.is_file():
        png = base64.b64encode(picture.read_bytes()).decode()
        figures.append(page.Figure(path.stem, png=png, wide=True))
    text = [task["text"]] if "text" in task else []
    return page.Section(path.stem, task.get("title", path.stem), text, figures, grids)


def _cell(v: Any) -> str:
    return tables.measured(v) if isinstance(v, float) else tables.text(v)
