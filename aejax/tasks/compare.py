"""Systems beside each other on held-out data: tables and panels of most tasks.

``compare`` applies systems under conditions and scores what they give; ``rows`` or
``means`` make a table of its list, ``curves``, ``bars``, ``grid``, ``images`` panels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aejax import evaluate
from aejax.tasks import panels

PSNR = "psnr [dB]"
_LABELS = {PSNR: "PSNR [dB]", "auroc": "AUROC", "distance": "mean distance"}  # of axes


class Condition(NamedTuple):
    """What systems are compared under: columns of their rows, as {"level": 0.5}; the
    systems, {name: function}; their inputs, the same for all and of held-out data."""

    columns: Mapping[str, Any]
    systems: Mapping[str, Callable]
    inputs: Sequence[Any]


class Compared(NamedTuple):
    """A row: columns of the condition, the system, its metrics; examples to draw."""

    columns: Mapping[str, Any]
    system: str
    metrics: Mapping[str, Any]
    examples: Any = None


def compare(
    conditions: Iterable[Condition], score: Callable[[Any], Mapping], picks=slice(None)
) -> list[Compared]:
    """Every system under every condition, one after the other.

    ``score`` gives {column, whose name ends with its unit: number} of an output; only
    its examples ``picks`` are kept.
    """
    compared = []
    for columns, systems, inputs in conditions:
        for name, system in systems.items():
            output = system(*inputs)
            compared.append(Compared(columns, name, score(output), output[picks]))
    return compared


def quality(x: np.ndarray, x_hat: np.ndarray, peak: float) -> dict[str, float]:
    """Columns of restored examples: mean PSNR of each and, of images, mean SSIM.

    SSIM in a window that is not Wang's is another number, and has the window's name.
    """
    row = {PSNR: float(evaluate.example_psnr(x, x_hat, peak).mean())}
    if x.ndim != 4:
        return row
    side = evaluate.metrics.ssim_side(x)
    name = "ssim" if side == 11 else f"ssim {side}×{side}"
    return row | {name: evaluate.ssim(x, x_hat, peak)}


def best(guesses: Mapping[Any, np.ndarray], x: np.ndarray, peak: float) -> Any:
    """The key of the guess of highest mean PSNR: what is chosen, on valid."""
    psnr = {k: evaluate.example_psnr(x, g, peak).mean() for k, g in guesses.items()}
    return max(psnr, key=psnr.get)


def rows(compared: Iterable[Compared]) -> list[dict[str, Any]]:
    """The table of all."""
    return [{**c.columns, "system": c.system, **c.metrics} for c in compared]


def means(compared: Iterable[Compared]) -> list[dict[str, Any]]:
    """The table of means over conditions, with the columns that all have the same."""
    table = []
    for system, parts in by_system(compared).items():
        shared = parts[0].columns.items()
        row = {n: v for n, v in shared if all(c.columns[n] == v for c in parts)}
        row |= {
            n: float(np.mean([c.metrics[n] for c in parts])) for n in parts[0].metrics
        }
        table.append({"system": system, **row})
    return table


def where(compared: Iterable[Compared], columns: Mapping[str, Any]) -> list[Compared]:
    """Those whose conditions have these columns."""
    return [c for c in compared if columns.items() <= c.columns.items()]


def by_system(compared: Iterable[Compared]) -> dict[str, list[Compared]]:
    """{system: its rows, in order}."""
    systems: dict[str, list[Compared]] = {}
    for c in compared:
        systems.setdefault(c.system, []).append(c)
    return systems


def curves(title: str, compared: Iterable[Compared], x: str, y: str, log: str = ""):
    """A line per system: metric y against the condition's x."""
    systems = by_system(compared).items()
    lines = {n: [(c.columns[x], c.metrics[y]) for c in parts] for n, parts in systems}
    return panels.Curves(title, x, _LABELS.get(y, y), lines, log)


def bars(title: str, compared: Iterable[Compared], column: str) -> panels.Bars:
    """A bar per system: mean, least and greatest over its conditions."""
    systems = by_system(compared).items()
    values = {n: [c.metrics[column] for c in parts] for n, parts in systems}
    ends = {n: (float(np.mean(v)), min(v), max(v)) for n, v in values.items()}
    return panels.Bars(title, _LABELS.get(column, column), ends)


def grid(
    title: str, compared: Iterable[Compared], column: str, names: Iterable[str]
) -> panels.Grid:
    """A row per system, a column per condition, which have these ``names`` in order."""
    systems = by_system(compared)
    values = [[c.metrics[column] for c in parts] for parts in systems.values()]
    return panels.Grid(title, np.array(values), list(systems), list(names))


def images(
    title: str, first: Sequence[tuple], compared: Iterable[Compared]
) -> panels.Images:
    """Below the ``first`` rows the examples of each system, with their PSNR."""
    more = [(c.system, f"{c.metrics[PSNR]:.1f} dB", c.examples) for c in compared]
    return panels.Images(title, [*first, *more])
