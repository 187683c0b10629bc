"""A user's own data: .npz, .npy, .txt, .json, .csv, a folder of images or of MIDI."""

import os
from collections.abc import Mapping
from pathlib import Path

from aejax import config
from aejax.data import (
    arrays,
    dataset,
    frames,
    images,
    lists,
    midi,
    music,
    npz,
    paths,
    series,
    tables,
    text,
)

SUFFIXES = (".npz", ".npy", ".txt", ".json")
_KINDS = (
    "what is read is .npz and .npy (arrays), .csv, .tsv, .parquet and .feather "
    "(tables), .txt (text by lines), .json (chorales), a "
    "folder of images and a folder of MIDI files, and .csv with a column path (images)"
)
_CONVERT = {  # suffix: an expression for its table, in Python
    ".mat": "scipy.io.loadmat({!r})['NAME']",
}


def is_path(name: str) -> bool:
    """Whether ``name`` means a file or a folder rather than a data set's name."""
    return _is_path(asked(name)[0])


def _is_path(name: str) -> bool:
    path = paths.path(name)
    known = path.suffix.lower() in SUFFIXES or frames.suffix(path)
    return bool(name) and bool(known or os.path.exists(path))


def asked(name: str) -> tuple[str, str]:
    """PATH and "KEY=VALUE,…" of ``PATH@KEY=VALUE,…``; any other name, and "".

    A path that has an @ itself is one. Of tables ``PATH:COLUMN`` asks for a label.
    """
    if _is_path(name):
        return name, ""
    head, _, text = name.rpartition("@")
    if head and _is_path(head):
        text, _, label = text.partition(":")
        if not label:
            return head, text
    else:
        (head, _, label), text = name.rpartition(":"), ""
    is_label = label and ":" not in label and "label=" not in text
    if not head or not is_label or not frames.is_one(paths.path(head)):
        return name, ""
    return head, ",".join(filter(None, [text, f"label={label}"]))


def options(name: str, text: str, known: Mapping[str, str]) -> dict[str, str]:
    """{key: value} of ``text``, whose keys are among the known {key: what it is}."""
    given = dict(part.partition("=")[::2] for part in text.split(",") if text)
    if not all(key in known and value for key, value in given.items()):
        forms = "; ".join(f"{name}@{key}={about}" for key, about in known.items())
        forms = f"what can be is {forms}" if forms else "nothing can be"
        raise config.InputError(
            f"'{config.listed([text])}' cannot be asked of '{name}': {forms}"
        )
    return given


def asking(name: str, key: str, value: str) -> str:
    """The name that asks for this, too."""
    base, text = asked(name)
    return f"{base}@{','.join(filter(None, [text, f'{key}={value}']))}"


def load(name: str) -> dataset.Dataset:
    """The data set in a file or folder.

    ``.npz`` and ``.npy``: see ``arrays``; ``.txt``: ``text``; ``.json``: ``music``;
    with ``window=`` tables and arrays are ``series``.
    ``PATH@KEY=VALUE,…`` asks for something of it: the name is all that says what a
    data set is, in run.json, rows and the cache.

    A folder: its images (``images``), or its MIDI files if there are any (``music``),
    there and below. Sub-folders called train, valid (or val, validation, dev) and test
    are its splits, others the classes of images, and classes may lie in splits. Names
    that begin with a dot are passed over. A list of images' paths: ``lists``. Decoded
    once, into the cache.

    Missing splits are made after a shuffle (``dataset.partition``), because such data
    are often sorted. Likelihood: bernoulli if all values lie in [0, 1], else gaussian.

    Raises:
      InputError: no such file, or contents that cannot be used, with the reason.
    """
    base, text = asked(name)
    return _load(base, text)._replace(name=name)


def _load(name: str, asks: str) -> dataset.Dataset:
    path = paths.path(name)
    if paths.is_folder(name):
        matches = paths.walk(path, (*images.SUFFIXES, *midi.SUFFIXES))
        notes = [f for f in matches if f.suffix.lower() in midi.SUFFIXES]
        known = options(name, asks, {} if notes else images.OPTIONS)
        if notes:
            return music.load(name, path, notes)
        return images.load(name, path, matches, known)
    if (suffix := path.suffix.lower()) in (".json", ".txt"):
        options(name, asks, {})
        return music.load(name, path, []) if suffix == ".json" else text.load(name)
    if suffix in images.SUFFIXES or suffix in midi.SUFFIXES:
        raise config.InputError(
            f"'{name}' is one file, an image or a piece; a data set is a folder of "
            f"many: give its folder, '{path.parent}'"
        )
    if lists.is_one(path):
        return lists.load(name, path, options(name, asks, lists.OPTIONS))
    array = not frames.suffix(path) and (suffix in SUFFIXES or npz.is_one(path))
    if "window=" in asks and (array or frames.suffix(path)):
        return series.load(name, path, options(name, asks, series.OPTIONS))
    if frames.suffix(path):
        known = tables.OPTIONS | {"window": series.WINDOW}
        return tables.load(name, path, options(name, asks, known))
    if not array:
        raise config.InputError(f"'{name}' is none of these: {_KINDS}; {_advice(path)}")
    known = arrays.OPTIONS | {"window": series.WINDOW}
    return arrays.load(name, path, **options(name, asks, known))


def _advice(path: Path) -> str:
    table = _CONVERT.get(path.suffix.lower(), "x").format(str(path))
    return (
        "save an array x (N, …), a row per example, in Python: "
        f"np.save({str(path.with_suffix('.npy'))!r}, {table}.astype('float32'))"
    )
