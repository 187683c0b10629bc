"""One table, with rich or as Markdown."""

from collections.abc import Sequence

import rich.box
import rich.console
import rich.table

from aejax.report import words

Rows = Sequence[Sequence[str]]


def show(headers: Sequence[str], rows: Rows, title: str) -> None:
    """Prints title and columns; numbers to the right."""
    console = rich.console.Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 1000  # lines are as long as they need to be
    box = rich.box.SIMPLE_HEAD if console.is_terminal else None
    table = rich.table.Table(
        box=box, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for header, column in zip(headers, zip(*rows, strict=True), strict=True):
        table.add_column(header, justify=("left", "right")[words.numeric(column)])
    for row in rows:
        table.add_row(*row)
    console.print(f"\n{title}", style="bold")
    console.print(table)


def markdown(headers: Sequence[str], rows: Rows) -> str:
    """A table of GitHub's Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    cells = [[c.replace("|", "\\|") for c in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
