"""Results table -> figures -> one self-contained HTML page. Nothing is trained."""

import pathlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from aejax import config

DRAWING = threading.Lock()  # matplotlib's settings are the process's


def findings(runs: Sequence[Any]) -> list[str]:
    """What the rows of these runs say, in sentences; names between backticks."""
    from aejax.report import sentences, table  # pandas: half a second

    return sentences.findings(table.read(runs))


def write(runs: Sequence[Any], out: Any = None) -> pathlib.Path:
    """Writes ``report.html`` and ``figures/*.svg``; several runs are compared.

    A section that cannot be made says why on the page, and is a warning.

    Args:
      runs: as ``aejax.open_run`` gives them, finished or not.
      out: directory; by default the run's own, and ``comparison`` beside the first
        of several.

    Returns:
      The path of ``report.html``, which needs no other file.

    Raises:
      InputError: there is no run, or no directory to write to.
    """
    if not runs or (out is None and runs[0].dir is None):
        raise config.InputError("a report needs at least one run, and a directory: out")
    if out is None:
        out = runs[0].dir if len(runs) == 1 else runs[0].dir.parent / "comparison"
    out = pathlib.Path(out)
    from aejax.report import table

    facts = table.read(runs)
    sections = list(_sections(runs, facts))
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for figure in (f for section in sections for f in section.figures if f.svg):
        _write(out / "figures" / f"{figure.name}.svg", figure.svg)
    # After the sections: a model that had to be taken from earlier is a problem too.
    from aejax.report import page, provenance, sentences, words

    head = provenance.headline(facts) | {"findings": sentences.findings(facts)}
    head["errors"] = [words.ERRORS[name] for name in facts.measures]
    path = out / "report.html"
    _write(path, page.render(sections, table=facts, **head))
    return path


def _sections(runs: Sequence[Any], facts: Any) -> Iterator[Any]:
    """Those of a ``Table`` that have something to say, in the page's order."""
    # Matplotlib takes a second to import, which a command that fails should not.
    from aejax.report import canvas, page
    from aejax.report import sections as parts

    with DRAWING, canvas.style():
        for name, make in parts.makers(runs, facts):
            try:
                section = make()
                section = section and page.as_text(section)
            except Exception as error:  # plotting can fail in any way
                why = f"{type(error).__name__}: {str(error)[:500]}"
                warnings.warn(f"section '{name}' of the report: {why}", stacklevel=4)
                text = f"This section could not be made. {why}"
                section = page.Section(name, name.capitalize(), text=text)
            if section:
                yield section


def _write(path: pathlib.Path, text: str) -> None:
    # A name of bytes that are no UTF-8 is shown without them.
    path.write_text(text, "utf-8", errors="replace")


def picture(panels: Sequence[Any], path: Any) -> None:
    """The panels of an application as a PNG, 1200 pixels wide."""
    from aejax.report import canvas, drawer

    with DRAWING, canvas.style():
        drawer.draw(panels).savefig(path, dpi=120)


def applications(out: pathlib.Path) -> pathlib.Path:
    """Writes ``report.html`` from the ``task-NAME.json`` of a directory alone."""
    from aejax.report import page, provenance

    sections = [provenance.task(file) for file in sorted(out.glob("task-*.json"))]
    names = ", ".join(section.id.removeprefix("task-") for section in sections)
    head = {"title": "Applications", "kicker": out.name, "facts": names, "x": None}
    lists = dict.fromkeys(("numbers", "diverged", "unfinished", "problems"), ())
    first = "Every number is of held-out data; each model is named below its figure."
    path = out / "report.html"
    text = page.render(sections, table=None, findings=[first], **head, **lists)
    _write(path, text)
    return path
