"""What a section of the page is made of, and the page from its sections.

The words of our own sections stand in ``page.html``, by the section's id.
"""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jinja2
import markupsafe
from matplotlib import figure

from aejax.report import canvas, words


class Figure(NamedTuple):
    """A picture and its file name without ending."""

    name: str
    drawn: figure.Figure | None = None
    wide: bool = False  # the page's whole width; else two stand side by side
    svg: str = ""  # of what was drawn
    png: str = ""  # base64, instead of both


class Cells(NamedTuple):
    """A table; columns of numbers are aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def numeric(self) -> list[bool]:
        """Which columns hold numbers alone."""
        return [
            words.numeric(c) for _, *c in zip(self.columns, *self.rows, strict=True)
        ]


class Section(NamedTuple):
    """One part of the page, in the order: text, figures, tables, code."""

    id: str
    title: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Cells] = ()
    text: str = ""  # instead of the words of page.html
    code: str = ""


def picture(name: str, title: str, fig: figure.Figure) -> Section:
    """A section that is one figure over the page's width."""
    return Section(name, title, [Figure(name, fig, wide=True)])


def as_text(section: Section) -> Section:
    """With figures as SVG, which nothing can change any more."""
    figures = [
        f._replace(drawn=None, svg=canvas.svg(f.drawn)) if f.drawn else f
        for f in section.figures
    ]
    return section._replace(figures=figures)


def _names(text: str) -> markupsafe.Markup:
    """Escaped, and as code what stands between backticks."""
    code = re.sub("`([^`]*)`", r"<code>\1</code>", str(markupsafe.escape(text)))
    return markupsafe.Markup(code)


def render(sections: Iterable[Section], **head: Any) -> str:
    """The self-contained page; everything but our own SVG is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"names": _names, "inline": markupsafe.Markup}
    return environment.get_template("page.html").render(sections=sections, **head)
