"""A user's own data: .npz, .npy, .txt, .json, a folder of images or of MIDI files."""

import os
from pathlib import Path

from aejax import config
from aejax.data import arrays, dataset, images, midi, music, paths, text

SUFFIXES = (".npz", ".npy", ".txt", ".json")
_KINDS = (
    "what is read is .npz and .npy (arrays), .txt (text by lines), .json (chorales), a "
    "folder of images and a folder of MIDI files"
)
_CONVERT = {  # suffix: an expression for its table, in Python
    ".csv": "np.loadtxt({!r}, delimiter=',', skiprows=1)",
    ".tsv": "np.loadtxt({!r}, delimiter='\\t', skiprows=1)",
    ".mat": "scipy.io.loadmat({!r})['NAME']",
    ".parquet": "pandas.read_parquet({!r}).to_numpy()",
}


def is_path(name: str) -> bool:
    """Whether ``name`` means a file or a folder rather than a data set's name."""
    path = paths.path(name)
    return bool(name) and (path.suffix.lower() in SUFFIXES or os.path.exists(path))


def load(name: str) -> dataset.Dataset:
    """The data set in a file or folder.

    ``.npz`` and ``.npy``: see ``arrays``; ``.txt``: ``text``; ``.json``: ``music``.

    A folder: its images (``images``), or its MIDI files if there are any (``music``),
    there and below. Sub-folders called train, valid (or val, validation, dev) and test
    are its splits, others the classes of images, and classes may lie in splits. Names
    that begin with a dot are passed over. Decoded once, into the cache.

    Missing splits are made after a shuffle (``dataset.partition``), because such data
    are often sorted. Likelihood: bernoulli if all values lie in [0, 1], else gaussian.

    Raises:
      InputError: no such file, or contents that cannot be used, with the reason.
    """
    path = paths.path(name)
    if paths.is_folder(name):
        matches = paths.walk(path, (*images.SUFFIXES, *midi.SUFFIXES))
        notes = [f for f in matches if f.suffix.lower() in midi.SUFFIXES]
        return (music if notes else images).load(name, path, notes or matches)
    match suffix := path.suffix.lower():
        case ".json":
            return music.load(name, path, [])
        case ".txt":
            return text.load(name)
    if suffix in images.SUFFIXES or suffix in midi.SUFFIXES:
        raise config.InputError(
            f"'{name}' is one file, an image or a piece; a data set is a folder of "
            f"many: give its folder, '{path.parent}'"
        )
    if suffix not in SUFFIXES and not arrays.is_one(path):
        raise config.InputError(f"'{name}' is none of these: {_KINDS}; {_advice(path)}")
    return arrays.load(name, path)


def _advice(path: Path) -> str:
    table = _CONVERT.get(path.suffix.lower(), "x").format(str(path))
    return (
        "save an array x (N, …), a row per example, in Python: "
        f"np.save({str(path.with_suffix('.npy'))!r}, {table}.astype('float32'))"
    )
