"""Values that are missing: NaN in x (N, D). Filled, hidden on purpose, counted."""

from collections.abc import Mapping

import numpy as np

from aejax import config
from aejax.data import dataset

OPTION = "SHARE of the values of train and valid, to be taken for missing"


def are(data: dataset.Dataset) -> bool:
    """Whether any value of x is missing."""
    parts = [getattr(data, split).x for split in dataset.SPLITS]
    return any(x.ndim == 2 and x.dtype.kind == "f" and np.isnan(x).any() for x in parts)


def known(x: np.ndarray) -> np.ndarray:
    """The values of x (N, D) that are not missing; x of other shapes."""
    return x[~np.isnan(x)] if x.ndim == 2 and x.dtype.kind == "f" else x


def counted(
    data: dataset.Dataset, train: np.ndarray
) -> dict[str, tuple[float, float, float]]:
    """{measure: share of examples of these rows of train, of valid and of test that
    have a value which it counts}; {} where nothing is missing.

    mse counts numbers, error_rate booleans and categories.
    """
    if not are(data):
        return {}
    number = np.ones(data.train.x.shape[1], bool)
    if data.likelihood == "mixed":
        kinds = [c.kind == "number" for c in data.columns]
        number = np.repeat(kinds, widths(data))
    parts = data.train.x[train], data.valid.x, data.test.x

    def shares(where: np.ndarray) -> tuple[float, ...]:
        return tuple(
            float((~np.isnan(x[:, where])).any(1).mean()) if len(x) else 1.0
            for x in parts
        )

    some = {"mse": number, "error_rate": ~number}
    return {name: shares(where) for name, where in some.items() if where.any()}


def filled(data: dataset.Dataset) -> dataset.Dataset:
    """The data set with the training split's means for what is missing."""
    if not are(data):
        return data
    x = data.train.x
    count = np.maximum((~np.isnan(x)).sum(0), 1)
    mean = np.float32(np.nansum(x, 0, dtype=np.float64) / count)
    return dataset.mapped(data, lambda x: np.where(np.isnan(x), mean, x))


def hidden(data: dataset.Dataset, share: str | float) -> dataset.Dataset:
    """The data set without this share of the values of train and valid.

    Each is hidden by itself, at random with a fixed seed ("missing completely at
    random", Rubin 1976); a category with all of its positions. Test has all of its
    values, to be asked for. Units are those of the whole data set.

    Raises:
      InputError: no share from 0 to below 1; data that are no numbers (N, D); a column
        that has no value left in train.
    """
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise config.InputError(
            f"hide of '{data.name}' is {config.listed([share])}; it is a share of "
            "values, from 0 to below 1"
        )
    if not value:
        return data
    x = data.train.x
    if x.ndim != 2 or x.dtype.kind != "f":
        raise config.InputError(
            f"hide={value:g} is for numbers (N, D), and x of '{data.name}' is "
            f"{x.dtype} of shape {x.shape}; leave it out"
        )
    rng, parts = np.random.default_rng(0), {}
    for split in ("train", "valid"):
        part = getattr(data, split)
        away = mask(rng, data, len(part.x), value)
        parts[split] = part._replace(x=np.where(away, np.float32(np.nan), part.x))
    if (lost := np.isnan(parts["train"].x).all(0)).any():
        raise config.InputError(
            f"hide={value:g} leaves position {int(lost.argmax())} of x of "
            f"'{data.name}' without a value in train; hide fewer"
        )
    note = f"hide={value:g}: so many values of train and valid are missing, at random"
    return data._replace(**parts, notes=(*data.notes, note))


def mask(
    rng: np.random.Generator, data: dataset.Dataset, rows: int, share: float
) -> np.ndarray:
    """(rows, D) bool: true with probability ``share``, alike for all of a category."""
    return (rng.random((rows, len(widths(data)))) < share).repeat(widths(data), 1)


def widths(data: dataset.Dataset) -> list[int]:
    """How many positions of x each column takes: 1 where data have no columns."""
    return [c.width for c in data.columns] or [1] * data.train.x.shape[1]


def notes(name: str, given: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """A sentence on NaN in x (N, D) of {split: {"x": …}}, if there are any.

    Raises:
      InputError: a column that has nothing else in train.
    """
    empty = {s: np.isnan(f["x"]) for s, f in given.items() if f["x"].dtype.kind == "f"}
    count = sum(e.sum() for e in empty.values())
    if not count:
        return []
    if (lost := empty["train"].all(0)).any():
        raise config.InputError(
            f"column {int(lost.argmax())} of x of '{name}' is NaN in every row of "
            "train; fill it, or leave it out"
        )
    share = count / sum(e.size for e in empty.values())
    return [
        f"{count:,} values of x are NaN ({share:.1%}) and taken as missing: models are "
        "shown which, and they count nowhere"
    ]
