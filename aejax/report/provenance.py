"""The words and tables of the page: headline, differences, settings, origin."""

import base64
import json
import pathlib
import shlex
from typing import Any

from aejax import config
from aejax.report import page
from aejax.report import table as tables

SHOWN = ("mse", "nll", "kl", "psnr")


def headline(table: tables.Table) -> dict[str, Any]:
    """Title, key numbers and what is unfinished, for the template."""
    infos = [run.info for run in table.runs]

    def total(name):
        return sum(info.get(name) or 0 for info in infos)

    sets, kinds, networks = (
        ", ".join(dict.fromkeys(s.axes[n] for s in table.settings))
        for n in ("dataset", "objective", "network")
    )
    lanes = sum(len({row["lane"] for row in run.rows}) for run in table.runs)
    lanes, programs = total("lanes") or lanes, total("programs")
    speed = max((info.get("steps_per_s") or 0 for info in infos), default=0)
    several = f"{len(infos)} runs, " * (len(infos) > 1)
    compiling = f"training, + {_duration(total('compile_s'))} compiling"
    numbers = [
        (f"{lanes:,}", f"autoencoder{'s' * (lanes != 1)}"),
        (f"{programs:,}", f"compiled program{'s' * (programs != 1)}"),
        (_duration(total("train_s")), compiling),
        (f"{speed:,.0f}", "training steps per second"),
    ]
    devices = dict.fromkeys(str(info.get("device") or "") for info in infos)
    named = zip(table.names, infos, strict=True)
    return {
        "title": f"{several}{lanes:,} {numbers[0][1]}" + f" on {sets}" * bool(sets),
        "kicker": " · ".join(table.names),
        "facts": " · ".join(filter(None, [kinds, networks, *devices])),
        "numbers": [n for n in numbers if n[0] not in ("0", "0.0 s")],
        "unfinished": [name for name, info in named if not info.get("finished")],
    }


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
    cells = page.Cells(["", *table.names], rows, text=["", *table.names])
    text = [] if rows else ["Nothing: the configurations are equal."]
    return page.Section(
        "differences", "What differs", text, tables=[cells][: len(rows)]
    )


def diverged(table: tables.Table) -> page.Section | None:
    """The lanes that were frozen because a number was not finite."""
    first: dict[tuple, list] = {}
    for name, run in zip(table.names, table.runs, strict=True):
        swept = [n for n in run.axes if n != "seed"]
        for row in (r for r in run.rows if r["diverged"]):
            axes = " · ".join(filter(None, (tables.describe(n, row) for n in swept)))
            cells = [name, axes, row["lane"], row["seed"], row["epoch"]]
            first.setdefault((name, row["lane"]), cells)
    if not first:
        return None
    columns = ["run", "setting", "lane", "seed", "seen at epoch"]
    cells = page.Cells(columns, list(first.values()), text=("run", "setting"))
    count = f"{len(first)} lane{'s' * (len(first) != 1)} diverged"
    text = f"{count}: a loss or gradient was not finite. Their numbers count nowhere."
    return page.Section("diverged", "Diverged lanes", [text], tables=[cells])


def summary(table: tables.Table) -> page.Section | None:
    """Every setting's final test metrics, PCA included."""
    done = [(d.label, s.final, s) for d in table.lines for s in d.settings if s.final]
    if not done:
        return None
    shown = [m for m in SHOWN if any(s.metric(m) for *_, s in done)]
    sets = len({place[:2] for place in table.pca}) > 1
    done += [
        (
            f"PCA · {row['dataset']}" if sets else "PCA",
            row,
            tables.Setting(0, {}, row, []),
        )
        for row in table.pca.values()
    ]
    x = [table.x] if table.x else []
    rows = [
        [
            label,
            *(tables.text(final.get(n)) for n in x),
            f"{final['parameters'] or 0:,}",
        ]
        + ["–" if label.startswith("PCA") else final["n_seeds"]]
        + [tables.interval(setting.metric(m)) for m in shown]
        for label, final, setting in done
    ]
    columns = ["setting", *(n.replace("_", " ") for n in x), "parameters", "seeds"]
    cells = page.Cells([*columns, *shown], rows, text=("setting",))
    text = (
        "Final test metrics: mean [95 % interval] over seeds. mse is the mean over "
        "data elements in squared data units, psnr is in dB; nll and kl are in nats, "
        "summed over a datum and averaged over examples."
    )
    return page.Section("summary", "Every setting", [text], tables=[cells])


def origin(table: tables.Table) -> page.Section:
    """Configuration, versions, device, timings and the command that does it again."""
    cells = []
    for name, run in zip(table.names, table.runs, strict=True):
        info = {n: _flat(v) for n, v in run.info.items()}
        info = {n: v for n, v in info.items() if n not in ("configuration", "axes")}
        which = f"{name}: " * (len(table.runs) > 1)
        for title, values in (("configuration", _asked(run)), ("the run", info)):
            rows = [(n.replace("_", " "), v) for n, v in values.items()]
            cells.append(page.Cells(("", ""), rows, which + title, ("",)))
    code = "\n".join(_command(run) for run in table.runs)
    return page.Section("origin", "How it was made", tables=cells, code=code)


def _flat(v: Any) -> str:
    nested = isinstance(v, dict)
    return (
        ", ".join(f"{n} {_flat(x)}" for n, x in v.items()) if nested else tables.text(v)
    )


def _command(run: Any) -> str:
    """The sweep's command line as it left it, else one that asks for the same."""
    if run.info.get("command"):
        command = run.info["command"]
        return command if isinstance(command, str) else shlex.join(command)
    parts = ["python", "-m", "experiments.sweep"]
    values, default = run.config.to_json(), config.Config().to_json()
    swept = {n: [v] for n, v in values.pop("hparams").items()} | run.axes
    for name, v in values.items():
        always = name in ("objective", "latent_dim", "seed")  # the preset sweeps them
        if name not in run.axes and (always or v != default[name]):
            parts += [f"--{name.replace('_', '-')}", tables.text(v)]
    for name, some in swept.items():
        comma = ";" if name == "hidden" else ","
        parts += ["--axis", f"{name}={comma.join(map(tables.text, some))}"]
    return shlex.join(parts)


def appended(folder: pathlib.Path | None) -> list[page.Section]:
    """A section for each ``task-NAME.json`` in a run's directory, in order of name.

    The file holds, all optional, ``title``, ``text`` and ``metrics``, which is
    {name: value} or a list of such rows; its picture is ``task-NAME.png``.
    """
    sections = []
    for path in sorted(folder.glob("task-*.json")) if folder else []:
        try:
            task = json.loads(path.read_text())
            metrics = task.get("metrics") or []
            rows = [metrics] if isinstance(metrics, dict) else metrics
            columns = list(dict.fromkeys(name for row in rows for name in row))
            cells = [[_cell(row.get(n)) for n in columns] for row in rows]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            task, columns, cells = {"text": f"{path.name} is damaged: {error}"}, [], []
        words = [n for n in columns if any(isinstance(r.get(n), str) for r in rows)]
        picture = path.with_suffix(".png")
        png = picture.read_bytes() if picture.is_file() else b""
        figure = page.Figure(path.stem, png=base64.b64encode(png).decode(), wide=True)
        title, text = str(task.get("title", path.stem)), task.get("text")
        text, grid = [str(text)] if text else [], page.Cells(columns, cells, text=words)
        figures, grids = [figure][: len(png)], [grid][: len(cells)]
        sections.append(page.Section(path.stem, title, text, figures, grids))
    return sections


def _cell(v: Any) -> str:
    return tables.measured(v) if isinstance(v, float) else tables.text(v)
