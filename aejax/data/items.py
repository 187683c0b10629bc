"""``from_source``: whatever has a length and items, as a Dataset."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aejax import config
from aejax.data import arrays, dataset, npz, tables

_TAKEN = (
    "an item is an array, a pair (x, y) or a dict with x and perhaps y, length and "
    "factors, under the names that an .npz may have"
)


def from_source(
    obj: Any, *, name: str = "source", scale: float | None = None
) -> dataset.Dataset:
    """The Dataset of an object with ``__len__`` and ``__getitem__``, read through once.

    A data set of grain or torch, a list, an array (N, …), a DataFrame (see
    ``from_table``, which can be asked more); or {split: object} of splits, train among
    them. Items are x, pairs (x, y) or dicts; None is passed over. Splits
    that are missing are made, labels numbered and numbers understood as those of an
    .npz (``arrays.build``).

    Args:
      scale: x / scale is in data units; else uint8 counts from 255 and floats are taken
        as they are.

    Raises:
      InputError: no such object; items that cannot be read or are not alike; what an
        .npz of the same arrays is refused for.
    """
    parts = dataset.parts(name, obj)
    if all(
        hasattr(part, "columns") and hasattr(part, "iloc") for part in parts.values()
    ):
        return tables.from_table(obj, name=name)
    given, notes = {}, []
    for split, part in parts.items():
        where = name if len(parts) == 1 else f"{split} of {name}"
        given[split], more = _read(where, part)
        notes += more
    data = arrays.build(name, given, None, scale, "from_source(…, scale={})")
    return data._replace(notes=(*dict.fromkeys(notes), *data.notes))


def _read(where: str, obj: Any) -> tuple[dict[str, tuple[str, np.ndarray]], list[str]]:
    """{field: (what it is called, array)} of all items, and notes."""
    if getattr(obj, "ndim", 0) > 1 and hasattr(obj, "dtype"):  # one array
        with dataset.explained(f"'{where}' cannot be read as an array"):
            return {"x": ("x", np.asarray(obj))}, []
    if not (hasattr(obj, "__len__") and hasattr(obj, "__getitem__")):
        raise config.InputError(
            f"'{where}' is a {type(obj).__name__}, without a length and items; give "
            "what has __len__ and __getitem__, or list(…) of what ends"
        )
    with dataset.explained(f"the length of '{where}' is not known"):
        count = len(obj)
    columns: dict[str, list[np.ndarray]] = {}
    for i in range(count):
        with dataset.explained(f"item {i} of '{where}' cannot be read"):
            if (item := obj[i]) is None:
                continue
            values = {k: np.asarray(v) for k, v in _parts(item).items()}
        if not columns:
            size = count * sum(v.nbytes for v in values.values())
            dataset.check_memory(where, 2 * size)
            columns = {key: [] for key in values}
        first = {key: rows[0] for key, rows in columns.items() if rows} or values
        if _shapes(values) != _shapes(first):
            raise config.InputError(
                f"the items of '{where}' are not alike: the first is {_form(first)}, "
                f"item {i} is {_form(values)}; {_TAKEN}, of one shape"
            )
        for key, value in values.items():
            columns[key].append(value)
    if not columns:
        raise config.InputError(f"'{where}' has no items")
    places, notes = npz.fields(where, list(columns))
    if splits := {split for split, _ in places.values()} - {"train"}:
        raise config.InputError(
            f"the items of '{where}' name splits ({', '.join(splits)}); give {{split: "
            "object}"
        )
    with dataset.explained(f"the items of '{where}' are not of one kind"):
        return {f: (k, np.stack(columns[k])) for k, (_, f) in places.items()}, notes


def _parts(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return {str(k): v for k, v in item.items() if v is not None}
    if isinstance(item, tuple) or (isinstance(item, list) and np.ndim(item[0])):
        if not 1 <= len(item) <= 2:
            raise ValueError(f"it is a {type(item).__name__} of {len(item)}; {_TAKEN}")
        return dict(zip(("x", "y"), item, strict=False))
    return {"x": item}


def _shapes(values: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {key: value.shape for key, value in values.items()}


def _form(values: Mapping[str, np.ndarray]) -> str:
    return ", ".join(f"{key} {value.shape}" for key, value in values.items())
