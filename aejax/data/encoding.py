"""A table's own units and words, and x, which models take: there and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config
from aejax.data import columns, frames, standard

Unseen = Callable[[columns.Column, np.ndarray, np.ndarray], None]


def encoded(
    kept: Sequence[columns.Column],
    values: Mapping[str, np.ndarray],
    unseen: Unseen,
) -> np.ndarray:
    """x (N, D) float64, numbers as they are, NaN for what is missing.

    ``unseen`` is called with a column, its values, and which of them (N,) are
    categories that it does not have, and refuses them.
    """
    import pandas as pd

    x = np.zeros((len(values[kept[0].name]), sum(c.width for c in kept)))
    for column in kept:
        given = values[column.name]
        if column.kind != "category":
            x[:, column.start] = given
            continue
        ids = pd.Index(column.values).get_indexer(given)  # -1 of others
        missing = pd.isna(given)
        unseen(column, given, (ids < 0) & ~missing)
        known = np.flatnonzero(~missing)
        x[known, column.start + ids[known]] = 1.0
        x[missing, column.start : column.start + column.width] = np.nan
    return x


def of_frame(data: Any, frame: Any, where: str = "the table") -> np.ndarray:
    """x (N, D) float32 of a DataFrame in the table's own units and words, as a model of
    the table takes it: the inverse of ``as_given``. NaN is what is missing.

    Args:
      data: a Dataset of a table, or a DataSpec: what has its columns and standard.

    Raises:
      InputError: data that are no table; a column that is not there; a value, by its
        row, that is none of the column's kind, or a category it does not know.
    """
    _check_table(data)
    names = [str(column) for column in frame.columns]
    frames.check_names(where, names)
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    for column in data.columns:
        if column.name not in names:
            raise config.unknown(f"column of '{where}'", column.name, names)

    def unseen(column: columns.Column, given: np.ndarray, other: np.ndarray) -> None:
        for row in np.flatnonzero(other)[:1]:
            raise config.InputError(
                f"column '{column.name}' of '{where}' is "
                f"'{config.listed([given[row]])}' in row {row + 1}, a category that "
                "this model has not seen; it knows "
                f"{config.listed(column.values, 20)}: write one of them, or nothing, "
                "which counts as missing"
            )

    values = {c.name: columns.known(where, c, frame[c.name]) for c in data.columns}
    x = encoded(data.columns, values, unseen)
    return np.float32(x if data.standard is None else data.standard.forward(x))


def _check_table(data: Any) -> None:
    if not data.columns:
        raise config.InputError(f"data set '{data.name}' is no table")


def as_given(data: Any, x: np.ndarray) -> Any:
    """x (N, D) in data units as a DataFrame in the table's own units and words.

    Numbers in the units of the table, booleans where x is 0.5 or more, of categories
    the one of the largest x; None and NaN where x is NaN. Of windows (N, T, F) of a
    series a row is a step.

    Raises:
      InputError: data that are no table.
    """
    import pandas as pd

    _check_table(data)
    x, width = np.asarray(x, np.float64), sum(c.width for c in data.columns)
    if x.ndim < 2 or x.shape[-1] != width:
        raise config.InputError(
            f"x has shape {x.shape}; rows of '{data.name}' are {width} numbers"
        )
    x = x.reshape(-1, width)
    if data.standard is not None:
        x = data.standard.inverse(x)
    frame = {}
    for column in data.columns:
        some = x[:, column.start : column.start + column.width]
        values, missing = some[:, 0], np.isnan(some[:, 0])
        if column.kind == "boolean":
            values = values >= 0.5
        if column.kind == "category":
            values = np.array(column.values, object)[np.nan_to_num(some).argmax(1)]
        if missing.any() and column.kind != "number":
            values = np.where(missing, None, values.astype(object))
        frame[column.name] = values
    return pd.DataFrame(frame)


def described(listed: Any, made: Any) -> tuple[tuple[columns.Column, ...], Any]:
    """Columns and ``standard.Standard`` of their lists, as JSON has them."""
    known = tuple(columns.Column(*c[:3], tuple(c[3])) for c in listed or ())
    return known, made and standard.Standard(*made)
