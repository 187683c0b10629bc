"""A run in a notebook: its table, its bottleneck curve, and the report's figures."""

import html as escapes
import warnings
from collections.abc import Sequence
from typing import Any

from aejax import config, report
from aejax.report import canvas, curves, sections, table, words

ROWS = 24  # of the table, at most

# {name: what has none of it}; the search's second figure has a name of its own.
FIGURES = {
    "bottleneck": "no number is swept, such as latent_dim: there is nothing to draw "
    "errors against",
    "settings": "it compares objectives (three or more) or, where no number is swept, "
    "settings, at one bottleneck size",
    "truncated": "it is of the objective nested_dropout",
    "reconstructions": "it is of images and series, not of rows of a table",
    "samples": "it is of images and series, not of rows of a table",
    "plane": "no model has latent_dim=2",
    "filters": "no encoder begins with a layer that sees whole images",
    "training": "no member was evaluated on a validation split",
    "gap": "no member was evaluated on training and test data",
    "search": "this run is no search",
    "drawn": "this run is no search",
}
TESTED = ("bottleneck", "settings", "gap")
TRAINED = ("truncated", "reconstructions", "samples", "plane", "filters")

STYLE = {
    "table": "border-collapse: collapse; margin: 0.5em 0",
    "th": "padding: 0.2em 0.8em; border-bottom: 1px solid",
    "td": "padding: 0.1em 0.8em; white-space: nowrap",
}


def plot(run: Any, name: str) -> Any:
    """A figure of the report of a Run, as a matplotlib Figure.

    ``run.plot("bottleneck")``. It draws itself in a notebook; ``savefig`` writes it.
    Names are those of ``FIGURES``.

    Raises:
      InputError: an unknown name; nothing of it in this run, and why.
    """
    if not isinstance(name, str) or name not in FIGURES:
        raise config.unknown("figure", str(name), FIGURES)
    facts, part = table.read([run]), "search" if name == "drawn" else name
    with report.DRAWING, canvas.style():
        section = dict(sections.makers([run], facts, joined=True))[part]()
    if not section or not section.figures:
        raise config.InputError(f"nothing to draw of '{name}': {_reason(run, name)}")
    return section.figures[name == "drawn"].drawn


def _reason(run: Any, name: str) -> str:
    if run.rows and all(row["diverged"] for row in run.rows if row["epoch"]):
        return "all members diverged"
    if name in TESTED and not any(r["split"] == "test" for r in run.rows):
        return "no member is trained to its end and tested yet; --resume goes on"
    if name in TRAINED and not run.finals and not run.info["finished"]:
        return f"{FIGURES[name]}; or no model is saved yet, --resume goes on"
    return FIGURES[name]


def html(run: Any) -> str:
    """What a notebook shows of a Run: a line, its settings, its errors by size.

    Of many settings the first ``ROWS`` stand in the table, and eight lines in the
    figure. A run that is not finished has its training curves instead.
    """
    facts = table.read([run])
    columns, rows = table.final(facts)
    parts = [f"<p>{escapes.escape(_title(run, facts))}</p>"]
    if rows:
        parts.append(_table(columns, rows))
    with report.DRAWING, canvas.style():
        try:
            section = curves.bottleneck(facts, 1)
            if not section and not run.info["finished"]:
                section = curves.training(facts)
            figures = section.figures if section else []
            parts += [_fitting(canvas.svg(f.drawn)) for f in figures]
        except Exception as error:  # plotting can fail in any way
            warnings.warn(f"the run was not drawn: {error}", stacklevel=2)
    width = f"max-width: {100 * canvas.WIDTH:.0f}px; overflow-x: auto"
    return f'<div style="{width}">{"".join(parts)}</div>'


def _fitting(svg: str) -> str:
    """The picture, no wider than the cell."""
    return svg.replace("<svg", '<svg style="max-width: 100%; height: auto"', 1)


def _title(run: Any, facts: table.Table) -> str:
    names = dict.fromkeys(s.axes["objective"] for s in facts.settings)
    members = len({row["member"] for row in run.rows})
    count = run.info.get("members", members)
    data = dict.fromkeys(s.axes["dataset"] for s in facts.settings)
    text = f"{count:,} autoencoder{'s' * (count != 1)}"
    if names:
        text += f": {config.listed(names)} on {config.listed(data)}"
    if not run.info["finished"]:
        tested = len({row["member"] for row in run.rows if row["split"] == "test"})
        text += f"; not finished, {tested:,} of them trained to their end"
    lost = len({row["member"] for row in run.rows if row["diverged"]})
    text += f"; {lost:,} diverged" * bool(lost)
    return f"{text}. Test metrics are means over seeds." if facts.pca else f"{text}."


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Names to the left, numbers to the right; styled in place: pages strip CSS."""
    numbers = [words.numeric(cells) for cells in zip(*rows, strict=True)]
    sides = ["right" if n else "left" for n in numbers]

    def line(tag: str, cells: Sequence[str]) -> str:
        pairs = zip(cells, sides, strict=True)
        return "<tr>" + "".join(
            f'<{tag} style="{STYLE[tag]}; text-align: {side}">'
            f"{escapes.escape(cell)}</{tag}>"
            for cell, side in pairs
        )

    body = "".join(line("td", row) for row in rows[:ROWS])
    more = len(rows) - ROWS
    note = f"<p>… and {more:,} more settings: run.summary has them.</p>" * (more > 0)
    head = line("th", columns)
    return f'<table style="{STYLE["table"]}">{head}{body}</table>{note}'
