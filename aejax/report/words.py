"""Numbers, axes and settings as prose and tables write them. No pandas."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

SHORT = {"latent_dim": "latent", "learning_rate": "lr", "batch_size": "batch"}
ERRORS = {"mse": "mse", "error_rate": "error rate"}  # columns of rows: their names


def describe(name: str | None, axes: Mapping[str, Any]) -> str:
    """One axis value in words: 'ae', 'beta 4', '' where it has none."""
    value = axes.get(name)
    if value is None or name in ("objective", "network", "dataset"):
        return value or ""
    if name == "latent_dim":
        return f"{value} latent dimension{'s' * (value != 1)}"
    return f"{SHORT.get(name, title(name))} {text(value)}"


def title(name: str | None) -> str:
    """An axis as a heading; 'setting' where nothing is swept."""
    return (name or "setting").replace("_", " ").replace("dim", "dimensions")


def text(value: Any) -> str:
    """A value as prose and tables write it."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(v)}" for name, v in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def measured(value: float | None) -> str:
    """A measured number with three significant digits, or none after 1,000."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def fixed(value: float | None, places: int) -> str:
    """A number of a column whose points stand below each other."""
    return "–" if value is None else f"{value:.{places}f}"


def interval(metric: tuple[float, float, float] | None) -> str:
    """Mean [low, high], or the mean alone where one seed gives no interval."""
    mean, low, high = map(measured, metric or (None,) * 3)
    return mean if low == high else f"{mean} [{low}, {high}]"


def cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and texts of rows of measured numbers and names."""
    columns = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str:
        return measured(value) if isinstance(value, float) else text(value)

    return columns, [[cell(row.get(n)) for n in columns] for row in rows]


def numeric(column: Sequence[str]) -> bool:
    """Whether every cell is a number, an interval, a count such as 3 of 5, or –."""
    number = re.compile(r"[-\d.,e\[\] –]*\d[-\d.,e\[\] ]*|–|\d+ of \d+")
    return all(map(number.fullmatch, column))
