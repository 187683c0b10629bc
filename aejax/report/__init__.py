"""Results table -> figures -> one self-contained HTML page. Nothing is trained."""

import pathlib
from collections.abc import Sequence
from typing import Any

from aejax import config
from aejax.report import table


def findings(runs: Sequence[Any]) -> list[str]:
    """What the rows of these runs say, in sentences; names between backticks."""
    from aejax.report import finding

    return finding.sentences(table.read(runs))


def write(runs: Sequence[Any], out: Any = None) -> pathlib.Path:
    """Writes ``report.html`` and ``figures/*.svg``; several runs are compared.

    Args:
      runs: as ``aejax.open_run`` gives them, finished or not.
      out: directory; by default the run's own, and ``comparison`` beside the first
        of several.

    Returns:
      The path of ``report.html``, which needs no other file.

    Raises:
      InputError: there is no run, or no directory to write to.
    """
    # Matplotlib takes a second to import, which a command that fails should not.
    from aejax.report import (
        canvas,
        compare,
        curves,
        finding,
        page,
        pictures,
        provenance,
    )

    if not runs or (out is None and runs[0].dir is None):
        raise config.InputError("a report needs at least one run, and a directory: out")
    if out is None:
        out = runs[0].dir if len(runs) == 1 else runs[0].dir.parent / "comparison"
    out = pathlib.Path(out)
    facts = table.read(runs)
    with canvas.style():
        shown = pictures.load(facts)
        sections = [
            provenance.differences(facts),
            curves.bottleneck(facts),
            compare.settings(facts),
            compare.truncated(facts),
            pictures.reconstructions(shown),
            pictures.samples(shown),
            pictures.plane(shown),
            pictures.filters(shown),
            curves.training(facts),
            curves.gap(facts),
            *(s for run in runs for s in provenance.appended(run.dir)),
            provenance.summary(facts),
            provenance.origin(facts),
        ]
    sections = [section for section in sections if section]
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for figure in (f for section in sections for f in section.figures if f.svg):
        (out / "figures" / f"{figure.name}.svg").write_text(figure.svg, "utf-8")
    head = provenance.headline(facts) | {"findings": finding.sentences(facts)}
    path = out / "report.html"
    path.write_text(page.render(sections, table=facts, **head), "utf-8")
    return path


def picture(panels: Sequence[Any], path: Any) -> None:
    """The panels of an application as a PNG, 1200 pixels wide."""
    from aejax.report import applied, canvas

    with canvas.style():
        applied.draw(panels).savefig(path, dpi=120)


def applications(out: pathlib.Path) -> pathlib.Path:
    """Writes ``report.html`` from the ``task-NAME.json`` of a directory alone."""
    from aejax.report import page, provenance

    sections = provenance.appended(out)
    names = ", ".join(section.id.removeprefix("task-") for section in sections)
    head = {"title": "Applications", "kicker": out.name, "facts": names, "x": None}
    lists = dict.fromkeys(("numbers", "diverged", "unfinished"), ())
    first = "Every number is of held-out data; each model is named below its figure."
    path = out / "report.html"
    text = page.render(sections, table=None, findings=[first], **head, **lists)
    path.write_text(text, "utf-8")
    return path
