"""One table as a rich table, as aligned text, or as Markdown; and the final table."""

import math
import re
from collections.abc import Sequence
from typing import Any

import rich.box
import rich.console
import rich.markup
import rich.table

Rows = Sequence[Sequence[str]]


def show(
    console: rich.console.Console, headers: Sequence[str], rows: Rows, title: str
) -> None:
    """Prints it: with rich on a terminal, else as text that other programs can read."""
    if not console.is_terminal:
        print(f"\n{title}\n{text(headers, rows)}\n")
        return
    table = rich.table.Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2 if console.width >= 100 else 1, 0, 0),
    )
    for header, right in zip(headers, _right(rows), strict=True):
        table.add_column(header, justify="right" if right else "left")
    for row in rows:
        table.add_row(*map(rich.markup.escape, row))
    console.print(table)


def text(headers: Sequence[str], rows: Rows) -> str:
    """Columns aligned by spaces; numbers to the right."""
    every, right = [headers, *rows], _right(rows)
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    pad = [str.rjust if end else str.ljust for end in right]
    return "\n".join(
        "  ".join(map(lambda p, c, w: p(c, w), pad, row, widths)).rstrip()
        for row in every
    )


def markdown(headers: Sequence[str], rows: Rows) -> str:
    """A table of GitHub's Markdown."""
    every = [headers, ["---"] * len(headers), *rows]
    cells = [[c.replace("|", "\\|") for c in row] for row in every]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _right(rows: Rows) -> list[bool]:
    number = re.compile(r"[-\d.,e\[\] –]*\d[-\d.,e\[\] ]*|–|\d+ of \d+")
    return [all(map(number.fullmatch, column)) for column in zip(*rows, strict=True)]


def results(run: Any) -> tuple[list[str], Rows]:
    """Headers and rows: one per setting, in the order of the sweep, seeds averaged."""
    lines = [s for s in run.summary if s["objective"] != "pca"]
    place = ("dataset", "binarize", "latent_dim")
    pca = {
        tuple(s[n] for n in place): s["mse_mean"]
        for s in run.summary
        if s["objective"] == "pca"
    }
    table: dict[str, list[str]] = {}
    for name in ("objective", "latent_dim", *run.planned[0].lanes[0].columns):
        values = [s.get(name) for s in lines]
        if name in ("objective", "latent_dim") or len(set(values)) > 1:
            short = {"latent_dim": "latent", "learning_rate": "lr"}.get(name, name)
            table[short] = [_cell(v) for v in values]
    table["n"] = [
        f"{s['n_seeds']} of {s['n_seeds'] + s['diverged']}"
        if s["diverged"]
        else str(s["n_seeds"])
        for s in lines
    ]
    table["params"] = [f"{s['parameters']:,}" for s in lines]
    # 2 digits of the smallest error: more would not fit beside its interval.
    least = min((s["mse_mean"] for s in lines if s["mse_mean"]), default=1.0)
    digits = min(8, max(0, 1 - math.floor(math.log10(least))))
    known = any(s["mse_low"] is not None for s in lines)
    shown = table["mse [95 %]" if known else "mse"] = []
    for line in lines:
        ends = [_number(line[f"mse_{end}"], digits) for end in ("low", "high")]
        interval = f" [{', '.join(ends)}]" if line["mse_low"] is not None else ""
        shown.append(_number(line["mse_mean"], digits) + interval)
    baseline = [pca.get(tuple(s[n] for n in place)) for s in lines]
    table["PCA mse"] = [_number(v, digits) for v in baseline]
    for metric in ("nll", "kl", "loss"):
        values = [s.get(f"{metric}_mean") for s in lines]
        if any(v is not None for v in values):
            table[metric] = [_number(v, 2) for v in values]
    return list(table), list(zip(*table.values(), strict=True))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "–" if value is None else str(value)


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"
