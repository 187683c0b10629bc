"""Columns of a table: numbers, booleans, categories, and what cannot be one of them."""

import datetime
import numbers
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from aejax import config

CATEGORIES = 50  # different strings of a column, at most, that are categories
CLASSES = 20  # different numbers of a label, or a tenth of its rows, that are classes
_NAMES = re.compile(r"(?:.*[_\W])?(?:id|index|uuid|guid)|unnamed.*|", re.I)
DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[/.]\d\d?[/.]\d{2,4}( .*)?")
# (option, value) -> the words to type that ask for it.
Ask = Callable[[str, str], str]


class Column(NamedTuple):
    """A column as x has it, from position ``start`` on.

    ``kind`` is "number", "boolean" (0 and 1) or "category", one-hot, whose strings
    ``values`` are in the order of their positions.
    """

    name: str
    kind: str
    start: int
    values: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many positions of x it takes."""
        return len(self.values) or 1


def positions(data: Any) -> list[str]:
    """Names of a table's positions of x, "colour=red" of a category; () of others."""
    return [
        f"{c.name}={value}" if c.values else c.name
        for c in data.columns
        for value in c.values or ("",)
    ]


def examine(where: str, name: str, series: Any, ask: Ask) -> tuple[str, np.ndarray]:
    """What a pandas Series is, and its values: numbers and booleans as float64 (N,),
    categories as strings; NaN and None where they are missing. "index" is what names or
    counts rows and describes nothing.

    Raises:
      InputError: nothing but missing values; dates; infinite numbers; strings too
        different to be categories; anything else.
    """
    rows = np.flatnonzero(series.notna())
    what = _what(where, name)
    out = f"or leave it out: {ask('drop', name)}"
    if not len(rows):
        raise config.InputError(f"{what} has no value in any row; fill it, {out}")
    kind, values = _examined(where, name, series.iloc[rows], rows, out)
    if len(rows) == len(series):
        return kind, values
    empty = None if values.dtype == object else np.nan
    whole = np.full(len(series), empty, values.dtype)
    whole[rows] = values
    return kind, whole


def _what(where: str, name: str) -> str:
    return f"column '{config.listed([name])}' of '{where}'"


def _examined(
    where: str, name: str, series: Any, rows: np.ndarray, out: str
) -> tuple[str, np.ndarray]:
    """``examine`` of a Series without missing values, and where its rows stood."""
    what = _what(where, name)
    kind, values = _kind(series)
    if kind == "category" and all(map(DATE.fullmatch, values)):
        kind = "date"
    if kind == "date":
        raise config.InputError(
            f"{what} holds dates, {config.listed([values[0]])} in row {rows[0] + 1}; "
            "what counts of them has to be said, days since the first, say, or the "
            "month: in pandas (d - d.min()).dt.days or d.dt.month of d = "
            f"pandas.to_datetime(frame[{name!r}]); of a series say "
            f"'{where}@window=128'; {out}"
        )
    if kind not in ("number", "boolean", "category"):
        raise config.InputError(
            f"{what} holds {kind}, {config.listed([values[0]])} in row {rows[0] + 1}; "
            f"a column is numbers, booleans or strings; {out}"
        )
    if kind == "category":
        return _strings(what, values, rows, out)
    if (infinite := ~np.isfinite(np.float32(values))).any():
        row = int(infinite.argmax())
        raise config.InputError(
            f"{what} is {values[row]} in row {rows[row] + 1}, which is not finite as "
            f"float32; write a number there, {out}"
        )
    return ("index" if _counts_rows(name, values) else kind), values


def _kind(series: Any) -> tuple[str, np.ndarray]:
    """number, boolean, category, date, or the name of any other type; and values."""
    import pandas as pd

    types, dtype = pd.api.types, series.dtype
    if types.is_bool_dtype(dtype):
        return "boolean", series.to_numpy(np.float64)
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return _number(series.to_numpy(np.float64))
    if dtype.kind in "mM" or isinstance(dtype, pd.PeriodDtype):
        return "date", series.to_numpy()
    values = np.array(series.tolist() + [None], object)[:-1]  # never two axes
    kinds = {bool: "boolean", str: "category", datetime.date: "date"}
    for one, kind in (*kinds.items(), (numbers.Real, "number"), (bytes, "bytes")):
        if all(isinstance(value, one) for value in values):
            if kind == "number":
                return _number(values.astype(np.float64))
            return kind, values.astype(np.float64) if kind == "boolean" else values
    if isinstance(dtype, pd.CategoricalDtype):
        return "category", np.array([str(v) for v in values], object)
    names = dict.fromkeys(type(value).__name__ for value in values)
    return f"values of type {config.listed(names, 3)}", values


def _number(values: np.ndarray) -> tuple[str, np.ndarray]:
    return "boolean" if set(np.unique(values)) == {0.0, 1.0} else "number", values


def _strings(
    what: str, values: np.ndarray, rows: np.ndarray, out: str
) -> tuple[str, np.ndarray]:
    values = np.array([value.strip() for value in values], object)
    different, count = set(values), len(values)
    if len(different) <= min(CATEGORIES, max(2, count // 2)) and (
        count < 3 or len(different) < count
    ):
        return "category", values
    odd = [row for row, value in enumerate(values) if not is_number(value)]
    if len(odd) >= count / 2 and 2 < count == len(different):
        return "index", values
    if len(odd) < count / 2:
        raise config.InputError(
            f"{what} is numbers but for {len(odd):,} of its {count:,} values, "
            f"'{config.listed([values[odd[0]]])}' in row {rows[odd[0]] + 1} first; "
            f"write a number there, or nothing where it is missing, {out}"
        )
    raise config.InputError(
        f"{what} has {len(different):,} different strings in {count:,} rows: "
        f"{CATEGORIES} are the most that are taken as categories, and half as many as "
        f"rows; {out}"
    )


def missing(what: str, series: Any, out: str) -> None:
    """Refuses missing values, of what cannot do without.

    Raises:
      InputError: there are some.
    """
    if (empty := series.isna().to_numpy()).any():
        raise config.InputError(
            f"{what} has {empty.sum():,} missing values, the first in row "
            f"{int(empty.argmax()) + 1}; fill them, or remove these rows, {out}"
        )


def known(where: str, column: Column, series: Any) -> np.ndarray:
    """Values of a Series as ``examine`` gives them, of a column that is known.

    Raises:
      InputError: a value that is none of its kind, with its row.
    """
    import pandas as pd

    if column.kind == "category":
        words = [None if pd.isna(v) else str(v).strip() for v in series]
        return np.array([*words, None], object)[:-1]
    series = series.astype(object)
    words = series.astype(str).str.strip().str.lower()
    plain = series.mask(words == "true", 1).mask(words == "false", 0)
    values = pd.to_numeric(plain, errors="coerce").to_numpy(np.float64)
    allowed = (0.0, 1.0) if column.kind == "boolean" else values
    with np.errstate(over="ignore"):
        bad = np.isinf(np.float32(values)) | series.map(_is_date).to_numpy(bool)
    bad |= ~np.isin(values, allowed) & ~np.isnan(values)
    bad |= np.isnan(values) & series.notna().to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise config.InputError(
            f"column '{config.listed([column.name])}' of '{where}' is "
            f"'{config.listed([series.iloc[row]])}' in row {row + 1}; this model knows "
            f"it as a {column.kind}: write one there, or nothing where it is missing"
        )
    return values


def _is_date(value: Any) -> bool:
    return isinstance(value, (datetime.date, np.datetime64, np.timedelta64))


def is_number(text: str) -> bool:
    """Whether Python reads it as a float."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _counts_rows(name: str, values: np.ndarray) -> bool:
    """Whole numbers that rise by one from row to row; or all different, of a column
    that is called id, index or nothing."""
    if len(values) < 3 or (values != np.rint(values)).any():
        return False
    distinct = len(np.unique(values)) == len(values)
    return bool((np.diff(values) == 1).all() or (distinct and _NAMES.fullmatch(name)))


def label(where: str, name: str, series: Any, short: str) -> np.ndarray:
    """Labels (N,): whole numbers or strings.

    Raises:
      InputError: missing ones; numbers that are no classes; dates and the rest.
    """
    what = f"the label column '{config.listed([name])}' of '{where}'"
    out = f"or train without labels: --dataset '{short}'"
    missing(what, series, out)
    kind, values = _kind(series)
    if kind == "category":
        return np.array([value.strip() for value in values])
    if kind not in ("number", "boolean"):
        raise config.InputError(f"{what} holds {kind}; labels are classes, {out}")
    different = np.unique(values)
    limit = max(CLASSES, len(values) // 10)
    if (different != np.rint(different)).any() or len(different) > limit:
        raise config.InputError(
            f"{what} is {len(different):,} different numbers from {different[0]:g} to "
            f"{different[-1]:g}; labels are classes, {out}, where it is a column as "
            "others are"
        )
    return values.astype(np.int64)
