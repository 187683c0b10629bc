"""Data sets: ``load(name)`` gives three splits, a likelihood and the unit of x.

A name is one of ``names()``, any data set that TFDS has prepared on disk, or a path to
a file (.npz, .npy, .txt, .json) or a folder of images or MIDI files. ``NAME:3`` or
``NAME:0-4,7`` trains on these classes alone; ``NAME:captions`` has captions for labels.
Nothing here imports jax or TensorFlow, and ``load`` never downloads: ``python -m
aejax.data prepare NAME`` does.
"""

import re

import numpy as np

from aejax import config
from aejax.data import (
    captions,
    catalogue,
    dataset,
    files,
    manifolds,
    music,
    prepared,
    sprites,
)

Split = dataset.Split
Dataset = dataset.Dataset
check_likelihood = dataset.check_likelihood
peak = dataset.peak
check_factors = dataset.check_factors


def load(name: str = "digits") -> Dataset:
    """The data set ``name``, decoded once and then read from the cache.

    x is stored as uint8 or float32 (see ``Split``), from 1 GB on as a read-only memory
    map. Where a set has no validation split it is the last tenth of train; where it has
    no test split that is the tenth before. Known names win over folders: ``./mnist``
    is a folder. ``digits``, ``sprites`` and ``tunes`` prepare themselves. In
    ``NAME:CLASSES`` train and valid have these classes only, and test has them all.

    Raises:
      InputError: unknown or not prepared, with the command that prepares it; a file
        that cannot be used, with the reason.
    """
    if name.endswith(captions.END):
        return captions.captioned(name, load(name.removesuffix(captions.END)))
    whole, classes = classes_of(name)
    if classes is not None:
        return _only(name, load(whole), classes)
    if name in manifolds.MANIFOLDS:
        return manifolds.draw(name)
    if name == "tunes":
        return music.tunes()
    own = name in catalogue.ENTRIES and catalogue.ENTRIES[name].needs == "nothing"
    if own and prepared.find(name) is None:
        from aejax.data import prepare

        prepare.prepare(name)
    if name not in catalogue.ENTRIES and files.is_path(name):
        return files.load(name)
    if found := prepared.find(name):
        data = prepared.load(name, found)
        if (own := prepared.base(name)) in sprites.EXAMPLES:
            known = {"factors": sprites.factors(own)}
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


def classes_of(name: str) -> tuple[str, list[int] | None]:
    """``NAME:0-2,7`` as NAME and [0, 1, 2, 7]; any other name, and None."""
    whole, _, text = name.rpartition(":")
    if not whole or not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return name, None
    ends = [part.split("-") for part in text.split(",")]
    return whole, sorted({k for e in ends for k in range(int(e[0]), int(e[-1]) + 1)})


def _only(name: str, data: Dataset, classes: list[int]) -> Dataset:
    if data.train.y is None or data.train.y.ndim > 1:
        raise config.InputError(f"'{data.name}' has no classes to choose from: {name}")
    rows = {s: np.isin(getattr(data, s).y, classes) for s in ("train", "valid")}
    for split in rows:
        if not rows[split].any():
            raise config.InputError(
                f"'{name}': there is no such class in {split} of '{data.name}', whose "
                f"classes are 0 … {data.num_classes - 1}"
            )
    return dataset.taken(data, rows)._replace(name=name)


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
