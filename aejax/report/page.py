"""What a section of the page is made of, and the page from its sections."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jinja2
import markupsafe


class Figure(NamedTuple):
    """A picture, its file name without ending and its caption."""

    name: str
    svg: str = ""
    caption: str = ""
    wide: bool = False  # the page's whole width; else two stand side by side
    png: str = ""  # base64, instead of svg


class Cells(NamedTuple):
    """A table; columns whose name is in ``text`` are aligned to the left."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    text: Sequence[str] = ()


class Section(NamedTuple):
    """One part of the page, in the order: text, figures, tables, code."""

    id: str
    title: str
    text: Sequence[str] = ()  # paragraphs; what stands between backticks is a name
    figures: Sequence[Figure] = ()
    tables: Sequence[Cells] = ()
    code: str = ""


def picture(name: str, title: str, svg: str, caption: str) -> Section:
    """A section that is one figure over the page's width."""
    return Section(name, title, figures=[Figure(name, svg, caption, wide=True)])


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
