"""``NAME:CLASSES``: some classes of a data set, by their labels."""

import csv
import re
from collections.abc import Mapping, Sequence

import numpy as np

from aejax import config
from aejax.data import dataset

# No number of more digits: Python itself refuses to read very long ones.
_RANGE = re.compile(r"(-?\d{1,30})(?:-(-?\d{1,30}))?", re.A)
_NUMBER = re.compile(r"-?\d{1,30}", re.A)


def chosen(text: str, labels: Mapping[int, str]) -> set[int] | None:
    """Classes of a text like ``0-4,7`` or ``good``, of {class: label}; None if some of
    it is no label. A range has every label that is a number in it.

    A label with a comma stands alone or in double quotes.
    """
    ids: set[int] = set()
    whole = text in labels.values()
    if not whole and not text.isprintable():  # csv refuses a line's end
        return None
    for part in [text] if whole else next(csv.reader([text])):
        some = {k for k, label in labels.items() if label == part}
        if not some and (ends := _RANGE.fullmatch(part)):
            low, high = int(ends[1]), int(ends[2] or ends[1])
            numbers = {k: n for k, n in labels.items() if _NUMBER.fullmatch(n)}
            some = {k for k, n in numbers.items() if low <= int(n) <= high}
        if not some:
            return None
        ids |= some
    return ids or None


def view(data: dataset.Dataset, ids: Sequence[int]) -> str:
    """The name of these classes of a data set, as ``load`` takes it."""
    known = dataset.labels(data)
    labels = [known[k] for k in ids]
    text = f"{labels[0]}-{labels[-1]}"
    if len(ids) < 2 or chosen(text, known) != set(ids):
        quoted = len(ids) > 1 and any("," in label for label in labels)
        text = ",".join(f'"{label}"' if quoted else label for label in labels)
    return f"{data.name}:{text}"


def only(name: str, data: dataset.Dataset, text: str) -> dataset.Dataset:
    """The data set with these classes alone in train and valid; test has them all.

    Raises:
      InputError: no classes, an unknown one, or none of them in train or valid.
    """
    if not (known := dataset.labels(data)):
        raise config.InputError(
            f"'{data.name}' has no classes to choose from: {config.listed([name])}"
        )
    ids, labels = chosen(text, known), config.listed(known.values(), 20)
    if ids is None:
        raise config.InputError(
            f"'{config.listed([text])}' is no label, nor a list like 0-4,7 of labels, "
            f"of data set '{data.name}'; its labels are: {labels}"
        )
    rows = {s: np.isin(getattr(data, s).y, list(ids)) for s in ("train", "valid")}
    for split in rows:
        if not rows[split].any():
            raise config.InputError(
                f"'{name}': there is no such class in {split} of '{data.name}', whose "
                f"labels are: {labels}"
            )
    return dataset.taken(data, rows)._replace(name=name)
