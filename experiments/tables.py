"""One table, with rich or as Markdown."""

from collections.abc import Sequence

import rich.box
import rich.console
import rich.table

from aejax.report import table as tables

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
    for header, column in zip(headers, zip(*rows, strict=True), strict=True):
        right = tables.numeric(column)
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
