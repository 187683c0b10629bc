"""Data sets: ``load(name)`` gives three splits, a likelihood and the unit of x.

A name is one of ``names()``, any data set that TFDS has prepared on disk, or a path to
an .npz or .npy file or a folder of images. Nothing here imports jax or TensorFlow, and
``load`` never downloads: ``python -m aejax.data prepare NAME`` does.
"""

import warnings

from aejax import config
from aejax.data import catalogue, dataset, files, prefetch, prepared

Split = dataset.Split
Dataset = dataset.Dataset
check_likelihood = dataset.check_likelihood
Prefetch = prefetch.Prefetch


def load(name: str = "digits") -> Dataset:
    """The data set ``name``, decoded once and then read from the cache.

    x is stored as uint8 or float32 (see ``Split``); x / scale are data units. Where a
    set has no validation split it is the last tenth of train; where it has no test
    split that is the tenth before. From 1 GB on x is a read-only memory map. ``digits``
    prepares itself. Known names win over folders: write ./mnist for a folder.

    Raises:
      InputError: unknown or not prepared, with the command that prepares it; a file
        that cannot be used, with the reason.
    """
    if name == "digits":
        return _digits()
    if name not in catalogue.ENTRIES and files.is_path(name):
        return files.load(name)
    if found := prepared.find(name):
        return prepared.load(name, found)
    if entry := catalogue.ENTRIES.get(name.partition(":")[0].partition("/")[0]):
        tensorflow = entry.needs == "tensorflow"
        install = 'pip install "aejax[tensorflow]", then ' if tensorflow else ""
        command = f"{install}python -m aejax.data prepare {name}"
        raise config.InputError(
            f"data set '{name}' is not prepared on this machine; looked in "
            f"{' and '.join(map(str, prepared.roots()))}; set TFDS_DATA_DIR to look "
            "elsewhere.\n"
            f"with a network: {command}\n"
            f"without one:    {command} --from DIR  (of the original files)\n"
            "or use --dataset digits, which needs neither."
        )
    raise config.InputError(
        f"{config.unknown('data set', name, names())}; it may also be a path (none "
        "exists by this name) or any other TFDS data set once that is prepared: "
        "python -m aejax.data prepare NAME"
    )


def names() -> list[str]:
    """Known names, sorted; TFDS is not imported."""
    return sorted(catalogue.ENTRIES)


def describe() -> list[tuple[str, tuple[int, ...], str, str, str]]:
    """(name, shape of an example, likelihood, "train / valid / test", note) of each."""
    return [
        (name, e.shape, e.likelihood, e.splits, e.note)
        for name, e in catalogue.ENTRIES.items()
    ]


def _digits() -> Dataset:
    try:
        found = prepared.find("digits")
        if found is None:
            from aejax.data import prepare

            found = prepare.prepare("digits")
        return prepared.load("digits", found)
    except config.InputError as error:
        from aejax.data import builders

        warnings.warn(f"digits are made anew each time: {error}", stacklevel=3)
        splits = {s: Split(**fields) for s, fields in builders.digits().items()}
        return Dataset(
            "digits", **splits, likelihood="bernoulli", scale=16.0, num_classes=10
        )
