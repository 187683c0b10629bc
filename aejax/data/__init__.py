"""Data sets: ``load(name)`` gives three splits, a likelihood and the unit of x.

A name is one of ``names()``, any data set that TFDS has prepared on disk, or a path to
a file (.npz, .npy, .txt, .json; tables .csv, .tsv, .parquet, .feather) or a folder of
images or MIDI files, of which ``PATH@KEY=VALUE,…`` asks more: ``photos@size=64``.
``NAME:3``, ``NAME:0-4,7`` or ``NAME:good`` trains on the classes of these labels alone;
``NAME:captions`` has captions for labels; ``table.csv:COLUMN`` has a label;
``series.csv@window=128`` is a series cut into windows.
Nothing here imports jax or TensorFlow, and ``load`` never downloads: ``python -m
aejax.data prepare NAME`` does.
"""

import re
from typing import Any

import numpy as np

from aejax import config
from aejax.data import (
    captions,
    catalogue,
    classes,
    columns,
    dataset,
    digest,
    encoding,
    files,
    items,
    likeness,
    manifolds,
    missing,
    music,
    prepared,
    sprites,
    tables,
)

Split = dataset.Split
Dataset = dataset.Dataset
check_likelihood = dataset.check_likelihood
SPLITS = dataset.SPLITS
labels = dataset.labels
peak = dataset.peak
limits = dataset.limits
in_units = dataset.in_units
view = classes.view
taken = dataset.taken
picked = dataset.picked
check_factors = dataset.check_factors
from_source = items.from_source
from_table = tables.from_table
as_given = encoding.as_given
encoded = encoding.of_frame
positions = columns.positions
described = encoding.described
filled = missing.filled
fingerprint = digest.fingerprint


def load(name: str = "digits", like: Any = None) -> Dataset:
    """The data set ``name``, decoded once and then read from the cache.

    x is stored as uint8 or float32 (see ``Split``), from 1 GB on as a read-only memory
    map. Where a set has no validation split it is the last tenth of train; where it has
    no test split that is the tenth before. Known names win over folders: ``./mnist``
    is a folder. ``digits``, ``sprites`` and ``tunes`` prepare themselves. In
    ``NAME:CLASSES`` train and valid have these classes only, and test has them all.

    ``like`` is a Dataset or a DataSpec, in whose units and by whose columns this one
    is to be read: see ``likeness``.

    Raises:
      InputError: unknown or not prepared, with the command that prepares it; a file
        that cannot be used, with the reason; more than fits into memory.
    """
    try:
        return _like(name, like) if like else _load(name)
    except MemoryError as error:
        raise config.InputError(
            f"data set '{name}' does not fit into memory ({error}); give fewer or "
            "smaller examples"
        ) from error


def _like(name: str, known: Any) -> Dataset:
    whole, text = classes_of(name)
    data = likeness.load(known, whole, _load)
    return data if text is None else classes.only(name, data, text)


def _load(name: str) -> Dataset:
    whole, text = classes_of(name)
    if text is not None:
        return classes.only(name, load(whole), text)
    if name.endswith(captions.END):
        return captions.captioned(name, load(name.removesuffix(captions.END)))
    if name in manifolds.MANIFOLDS:
        return manifolds.draw(name)
    if name == "tunes":
        return music.tunes()
    is_embedded = (
        name in catalogue.ENTRIES and catalogue.ENTRIES[name].needs == "nothing"
    )
    if is_embedded and prepared.find(name) is None:
        from aejax.data import prepare

        prepare.prepare(name)
    if name not in catalogue.ENTRIES and files.is_path(name):
        return files.load(name)
    if directory := prepared.find(name):
        data = prepared.load(name, directory)
        if (base := prepared.base(name)) in sprites.EXAMPLES:
            known = {"factors": sprites.factors(base)}
            data = data._replace(**known, factor_names=tuple(sprites.FACTORS))
        return data
    entry = catalogue.ENTRIES.get(prepared.base(name))
    if entry is None:
        raise config.InputError(
            f"{config.unknown('data set', name, names())}; it may also be a path (none "
            "exists by this name) or any other TFDS data set once that is prepared"
        )
    install = 'pip install "aejax[tensorflow]"; ' * (entry.needs == "tensorflow")
    command = f"python -m aejax.data prepare {name}"
    raise config.InputError(
        f"data set '{name}' is not prepared in {prepared.root()} (or TFDS_DATA_DIR): "
        f"{install}{command}, or {command} --from DIR (of the original files); "
        "--dataset digits needs neither"
    )


def classes_of(name: str) -> tuple[str, str | None]:
    """``NAME:0-2,good`` as NAME and its labels "0-2,good"; any other name, and None."""
    if files.is_path(name):  # that has a colon, maybe
        return name, None
    heads = [name[: match.start()] for match in re.finditer(":", name)][::-1]
    known = catalogue.ENTRIES
    file = next((h for h in heads if h and h not in known and files.is_path(h)), None)
    head = file or "".join(heads[:1])
    text = name[len(head) + 1 :]
    other = f":{text}" == captions.END or re.fullmatch(r"\d+(\.\d+)+", text)  # version
    return (name, None) if not head or (other and not file) else (head, text)


def factors(name: str) -> dict[str, np.ndarray]:
    """{split: (N, F)}: the whole numbers that x was drawn from, row by row as loaded.

    Raises:
      InputError: as ``load``; a data set without known factors.
    """
    check_factors(data := load(name))
    return dict(data.factors)


def factor_names(name: str) -> tuple[str, ...]:
    """Names of the columns of ``factors(name)``.

    Raises:
      InputError: as ``load``; a data set without known factors.
    """
    check_factors(data := load(name))
    return data.factor_names


def names() -> list[str]:
    """Known names, sorted; TFDS is not imported."""
    return sorted(catalogue.ENTRIES)


def describe() -> list[tuple[str, tuple[int, ...], str, str, str]]:
    """(name, shape of an example, likelihood, "train / valid / test", note) of each."""
    entries = catalogue.ENTRIES.items()
    return [(n, e.shape, e.likelihood, e.splits, e.note) for n, e in entries]
