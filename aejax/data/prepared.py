"""Reads data sets that TFDS has prepared on disk, without TensorFlow or a network."""

import contextlib
import functools
import io
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import cache, catalogue, dataset


def root() -> Path:
    """TFDS's directory, where data sets are prepared and looked for."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def own_root() -> Path:
    """Where ``digits`` goes if TFDS's directory is read-only, a shared one, say."""
    return cache.root() / "tfds"


def base(name: str) -> str:
    """NAME of ``NAME[/CONFIG][:VERSION]``."""
    return name.partition(":")[0].partition("/")[0]


def find(name: str) -> Path | None:
    """Directory of the newest prepared version of ``NAME[/CONFIG][:VERSION]``, or None.

    Looks at directories only: for a data set that is not there, TFDS itself would retry
    downloads for minutes.

    Raises:
      InputError: several configurations are prepared and the name chooses none.
    """
    if not re.fullmatch(r"\w+(/[\w-][\w.-]*)?(:[\d.]+)?", name):
        return None
    return _find(name, root()) or _find(name, own_root())


def _find(name: str, within: Path) -> Path | None:
    directory = within / name.replace(":", "/")
    # None of a name that is longer than any can be.
    there = os.path.isdir(directory)
    infos = directory.glob("**/dataset_info.json") if there else ()
    versions = [
        i.parent for i in infos if re.fullmatch(r"\d+\.\d+\.\d+", i.parent.name)
    ]
    choices = sorted({str(v.parent.relative_to(within)) for v in versions})
    if len(choices) > 1:
        raise config.InputError(
            f"data set '{name}' is prepared in several configurations; choose one: "
            f"{', '.join(choices)}"
        )
    newest = sorted(versions, key=lambda v: [int(n) for n in v.name.split(".")])
    return newest[-1] if versions else None


def load(name: str, directory: Path) -> dataset.Dataset:
    """The prepared data set in ``directory`` (as ``find`` gives it).

    Catalogue rules if its name has some; otherwise x is the feature ``image`` and y is
    ``label``. The likelihood is bernoulli for grey images, gaussian for coloured ones.

    Raises:
      InputError: not readable without TensorFlow, damaged, or not made of images.
    """
    entry = catalogue.ENTRIES.get(name.partition(":")[0])
    files = sorted(f for f in directory.iterdir() if f.is_file())
    return cache.fetch(name, directory, files, lambda: _build(directory, entry))


def _build(directory: Path, entry: catalogue.Entry | None):
    import tensorflow_datasets as tfds

    with _reading(directory):
        info = (builder := tfds.builder_from_directory(directory)).info
        named = dataset.split_names(f"'{directory}'", info.splits).items()
        sources = {split: builder.as_data_source(split=n) for split, n in named}
        first = sources["train"][0] if "train" in sources else {}
    image = first.get("image")
    if getattr(image, "ndim", 0) != 3 or image.dtype != np.uint8:
        raise config.InputError(
            f"{directory} must have a split 'train' of records with a uint8 'image', "
            f"but its splits are {', '.join(info.splits)} and its records hold "
            f"{', '.join(info.features)}; save the array you want as x in an .npz file "
            "and give its path"
        )
    if entry is None:
        scalar = isinstance(first.get("label"), int | np.integer)
        entry = catalogue.Entry(image.shape, label="label" if scalar else None)
    label = info.features[entry.label] if entry.label else None
    counts = {split: len(source) for split, source in sources.items()}
    # What TFDS did not shuffle may be sorted.
    parts = dataset.partition(
        directory.parent.name, counts, shuffle=info.disable_shuffling
    )
    streams = {}
    for split, (given, rows) in parts.items():
        decode = functools.partial(_decode, directory, entry, sources[given])
        streams[split] = rows.tolist(), decode
    about = {"likelihood": entry.likelihood, "scale": entry.scale}
    return about | {"num_classes": getattr(label, "num_classes", None) or 0}, streams


def _decode(
    directory: Path, entry: catalogue.Entry, source: Any, rows: Sequence[int]
) -> dict[str, np.ndarray]:
    with _reading(directory):
        records = source.__getitems__(rows)
    images = [entry.transform(r["image"]) for r in records]
    if others := {i.shape for i in images} - {entry.shape}:
        raise config.InputError(
            f"the images in {directory} should all be {entry.shape}, but some are "
            f"{others.pop()}; resize them into a folder and give its path"
        )
    block = {"x": np.stack(images)}
    if entry.label:
        block["y"] = np.asarray([r[entry.label] for r in records], np.int32)
    return block


@contextlib.contextmanager
def _reading(directory: Path) -> Iterator[None]:
    problem = f"the prepared data set in {directory} cannot be read without TensorFlow"
    advice = (
        "; it is damaged or not in the format array_record: remove this directory and "
        "run: python -m aejax.data prepare NAME"
    )
    with dataset.explained(problem, advice), quiet():
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without TFDS's prints, progress bars and absl's warnings. Import TFDS first: a
    logger "absl" that exists before absl does would be of the wrong class."""
    log = logging.getLogger("absl")
    level, sink = log.level, io.StringIO()
    log.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            yield
    finally:
        log.setLevel(level)
