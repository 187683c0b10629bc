"""Another file in the units of data that a model was trained on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aejax import config
from aejax.data import (
    arrays,
    columns,
    dataset,
    encoding,
    files,
    frames,
    missing,
    paths,
    tables,
)


def load(known: Any, name: str, read: Any) -> dataset.Dataset:
    """The data set ``name`` as a model of ``known`` data takes it.

    A table's columns are encoded as those of known, which it must have, others are left
    out; what was standardised is so by the same numbers, and what is asked of
    standardize and drop counts for nothing. All else as it is read.

    Args:
      known: a Dataset, or a DataSpec: what has columns and standard.
      read: name -> Dataset, of what is no table.

    Raises:
      InputError: as ``encoding.of_frame``; what keeps the file from being read.
    """
    base, text = files.asked(name)
    x = known.train.x if isinstance(known, dataset.Dataset) else None
    shape = known.shape if x is None else x.shape[1:]
    if known.columns and len(shape) == 1 and frames.is_one(paths.path(base)):
        return _table(known, name, base, files.options(base, text, tables.OPTIONS))
    data = read(name)
    if known.standard is None and data.standard is None:
        return data

    if known.standard is not None and data.train.x.shape[1:] != tuple(shape):
        raise config.InputError(
            f"examples of '{name}' are {data.train.x.shape[1:]}; this model takes "
            f"{tuple(shape)}, in the units of '{known.name}'"
        )

    def like(x: np.ndarray) -> np.ndarray:
        x = x if data.standard is None else data.standard.inverse(x)
        return np.float32(x if known.standard is None else known.standard.forward(x))

    return dataset.mapped(data, like)._replace(standard=known.standard)


def _table(
    known: Any, name: str, base: str, options: Mapping[str, str]
) -> dataset.Dataset:
    frame = frames.read(base, paths.path(base))
    x = encoding.of_frame(known, frame, base)
    given = {"x": ("x", x)}
    if label := options.get("label"):
        if label not in frame.columns:
            raise config.unknown(f"column of '{base}'", label, frame.columns)
        given["y"] = label, columns.label(base, label, frame[label], base)
    rows, _ = tables.splits(base, frame, {"train": frame}, lambda *_: "")
    data = arrays.build(
        name,
        {
            split: {field: (called, a[picks]) for field, (called, a) in given.items()}
            for split, picks in rows.items()
        },
    )
    about = {"columns": known.columns, "standard": known.standard}
    about["rows"] = {split: ("train", picks) for split, picks in rows.items()}
    data = data._replace(**about, likelihood=known.likelihood)
    return missing.hidden(data, options.get("hide", 0))
