"""The sections of the page, in its order: what makes each, and from what."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aejax.report import (
    columns,
    compare,
    curves,
    page,
    pictures,
    provenance,
    race,
    table,
)
from aejax.report import search as searches

Maker = Callable[[], page.Section | None]


def makers(
    runs: Sequence[Any], facts: table.Table, joined: bool = False
) -> Iterator[tuple[str, Maker]]:
    """(name, what makes it) of each section; models are restored once, if at all.

    ``joined``: what is a figure for each line of the page is one for all.
    """

    @functools.cache
    def loaded() -> list[Any]:
        try:
            return [pictures.load(facts)]
        except Exception as error:
            return [None, error]

    def models() -> Any:
        lines, *errors = loaded()
        for error in errors:
            raise error
        return lines

    def of_rows(make: Callable) -> tuple[str, Maker]:
        return make.__name__, lambda: make(facts)

    def of_models(make: Callable, **options: Any) -> tuple[str, Maker]:
        return make.__name__, lambda: make(models(), **options)

    yield of_rows(provenance.differences)
    yield "search", lambda: searches.section(facts)
    yield of_rows(curves.bottleneck)
    yield of_rows(compare.settings)
    yield of_rows(compare.truncated)
    yield of_models(pictures.reconstructions, joined=joined)
    yield "columns", lambda: columns.section(models())
    yield of_models(pictures.samples, joined=joined)
    yield of_models(pictures.plane, joined=joined)
    yield of_models(pictures.filters, joined=joined)
    yield "halving", lambda: race.section(facts)
    yield of_rows(curves.training)
    yield of_rows(curves.gap)
    for file in provenance.appended(runs):
        yield "task", functools.partial(provenance.task, file)
    yield of_rows(provenance.summary)
    yield of_rows(provenance.data)
    yield of_rows(provenance.origin)
