"""One table with rich or as Markdown; and the table that ends a sweep."""

import math
import re
from collections.abc import Sequence
from typing import Any

import rich.box
import rich.console
import rich.table

from aejax.report import table as report_table

Rows = Sequence[Sequence[str]]


def console() -> rich.console.Console:
    """stdout; where it is no terminal, lines are as long as they need to be."""
    out = rich.console.Console(highlight=False, markup=False, emoji=False)
    if not out.is_terminal:
        out.width = 1000
    return out


def show(
    console: rich.console.Console, headers: Sequence[str], rows: Rows, title: str
) -> None:
    """Prints title and columns; numbers to the right."""
    table = rich.table.Table(
        box=rich.box.SIMPLE_HEAD if console.is_terminal else None,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2 if console.width >= 100 else 1, 0, 0),
    )
    number = re.compile(r"[-\d.,e\[\] –]*\d[-\d.,e\[\] ]*|–|\d+ of \d+")
    for header, column in zip(headers, zip(*rows, strict=True), strict=True):
        right = all(map(number.fullmatch, column))
        table.add_column(header, justify="right" if right else "left")
    for row in rows:
        table.add_row(*row)
    console.print(f"\n{title}", style="bold")
    console.print(table)


def markdown(headers: Sequence[str], rows: Rows) -> str:
    """A table of GitHub's Markdown."""
    every = [headers, ["---"] * len(headers), *rows]
    cells = [[c.replace("|", "\\|") for c in row] for row in every]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def results(run: Any) -> tuple[list[str], Rows]:
    """Headers and rows: one per setting, in the order of the sweep, seeds averaged."""
    settings = report_table.read([run]).settings
    finals = [s.final for s in settings]
    table: dict[str, list[str]] = {}
    for name in dict.fromkeys(["objective", "latent_dim", *settings[0].axes]):
        values = [s.axes[name] for s in settings]
        if name in ("objective", "latent_dim") or len(set(values)) > 1:
            short = {"latent_dim": "latent"} | report_table.SHORT
            table[short.get(name, name)] = [report_table.text(v) for v in values]
    table["n"] = [
        str(f["n_seeds"]) + f" of {f['n_seeds'] + f['diverged']}" * bool(f["diverged"])
        for f in finals
    ]
    table["params"] = [f"{f['parameters']:,}" for f in finals]
    # 2 digits of the smallest error: more would not fit beside its interval.
    least = min((s.mse[0] for s in settings if s.mse), default=1.0)
    digits = max(0, 1 - math.floor(math.log10(max(least, 1e-7))))
    known = any(f["mse_low"] is not None for f in finals)
    shown = table["mse [95 %]" if known else "mse"] = []
    for f in finals:
        mean, *ends = (_number(f[f"mse_{e}"], digits) for e in ("mean", "low", "high"))
        interval = f" [{', '.join(ends)}]" if f["mse_low"] is not None else ""
        shown.append(mean + interval)
    table["PCA mse"] = [_number(s.pca, digits) for s in settings]
    for metric in ("nll", "kl", "loss"):
        values = [f.get(f"{metric}_mean") for f in finals]
        if any(v is not None for v in values):
            table[metric] = [_number(v, 2) for v in values]
    return list(table), list(zip(*table.values(), strict=True))


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"
