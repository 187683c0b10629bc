"""Reads data sets that TFDS has prepared on disk, without TensorFlow or a network."""

import contextlib
import hashlib
import io
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import cache, catalogue, dataset

_BLOCK = 4096  # records at a time: three times faster than one by one
_BLOCK_BYTES = 64 << 20  # fewer, where the images are large
_NAMES = {"valid": ("validation", "valid", "val"), "test": ("test",)}


def roots() -> list[Path]:
    """Where data sets are prepared and looked for: TFDS's directory, then ours."""
    given = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return [Path(given).expanduser(), cache.root() / "tfds"]


def find(name: str) -> Path | None:
    """Directory of the newest prepared version of ``NAME[/CONFIG][:VERSION]``, or None.

    Looks at directories only: for a data set that is not there, TFDS itself would retry
    downloads for minutes.

    Raises:
      InputError: several configurations are prepared and the name chooses none.
    """
    path, _, version = name.partition(":")
    if not re.fullmatch(r"\w+(/[\w-][\w.-]*)?", path):
        return None
    for root in roots():
        found: dict[Path, list[Path]] = {}
        for depth in ("*", "*/*"):  # NAME/VERSION and NAME/CONFIG/VERSION
            for info in (root / path).glob(f"{depth}/dataset_info.json"):
                at = info.parent
                if re.fullmatch(r"(\d+\.){2}\d+", at.name) and version in ("", at.name):
                    found.setdefault(at.parent, []).append(at)
        if len(found) > 1:
            choices = ", ".join(str(at.relative_to(root)) for at in sorted(found))
            raise config.InputError(
                f"data set '{name}' is prepared in several configurations; choose one: "
                f"{choices}"
            )
        for versions in found.values():
            return max(versions, key=lambda at: [int(n) for n in at.name.split(".")])
    return None


def key(label: str, directory: Path, files: Sequence[Path]) -> str:
    """A cache key that changes with our rules, the place, and every file's state."""
    stats = [(str(f.relative_to(directory)), f.stat()) for f in files]
    states = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    facts = json.dumps([catalogue.VERSION, str(directory.resolve()), states])
    label = re.sub(r"[^\w.-]+", "-", label)
    return f"{label}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"


def load(name: str, directory: Path) -> dataset.Dataset:
    """The prepared data set in ``directory`` (as ``find`` gives it).

    Catalogue rules if its name has some. Otherwise the feature ``image``, or the only
    uint8 image, is x, ``label`` is y, and the likelihood is bernoulli for grey images
    and gaussian for coloured ones.

    Raises:
      InputError: not readable without TensorFlow, damaged, or not made of images.
    """
    name_only = name.partition(":")[0]
    entry = catalogue.ENTRIES.get(name_only)
    files = sorted(f for f in directory.iterdir() if f.is_file())
    label = key(f"{name_only}-{directory.name}", directory, files)
    about, arrays = cache.fetch(label, lambda: _build(directory, entry))
    splits = {s: dataset.Split(**fields) for s, fields in arrays.items()}
    return dataset.Dataset(name, **splits, **about)


def _build(directory: Path, entry: catalogue.Entry | None):
    import tensorflow_datasets as tfds

    with _explained(directory), quiet():
        info = (builder := tfds.builder_from_directory(directory)).info
        sources = {s: builder.as_data_source(split=s) for s in info.splits}
        picked = _pick(sources, directory)
        first = picked["train"][0]
        entry = entry or _guess(first, directory)
        label = entry.label if entry.label in first else None
        classes = getattr(info.features[label], "num_classes", 0) if label else 0
        size = max(1, min(_BLOCK, _BLOCK_BYTES // first[entry.image].nbytes))
    rows: Sequence[int] = range(len(picked["train"]))
    if info.disable_shuffling and len(picked) < 3:  # perhaps sorted on disk
        rows = np.random.default_rng(0).permutation(len(rows)).tolist()
    parts = dataset.carve(rows, "valid" in picked, "test" in picked)
    streams = {}
    for split in ("train", "valid", "test"):
        source = picked["train"] if split in parts else picked[split]
        part = parts.get(split, range(len(source)))
        blocks = _blocks(source, part, size, entry, label, directory)
        streams[split] = cache.Stream(len(part), blocks)
    about = {"likelihood": entry.likelihood, "scale": entry.scale}
    return about | {"num_classes": int(classes or 0)}, streams


def _pick(sources: dict[str, Any], directory: Path) -> dict[str, Any]:
    """TFDS's splits under our names; a single split of any name is train."""
    train = "train" if len(sources) > 1 else next(iter(sources), "train")
    if train not in sources:
        raise config.InputError(
            f"{directory} has no split 'train', only: {', '.join(sources)}"
        )
    picked = {"train": sources[train]}
    for ours, theirs in _NAMES.items():
        for name in theirs:
            if name in sources and name != train:
                picked[ours] = sources[name]
    return picked


def _guess(record: dict[str, Any], directory: Path) -> catalogue.Entry:
    images = [k for k, v in record.items() if getattr(v, "ndim", 0) == 3]
    images = [k for k in images if record[k].dtype == np.uint8]
    name = "image" if "image" in images else (images or [""])[0]
    if not name or (name != "image" and len(images) > 1):
        raise config.InputError(
            f"the records of {directory} hold {', '.join(record)}: none or several of "
            "them are uint8 images, so what to model is unclear; save the array you "
            "want as x in an .npz file and give its path"
        )
    colour = record[name].shape[-1] > 1
    label = isinstance(record.get("label"), int | np.integer)
    return catalogue.Entry(
        record[name].shape,
        "gaussian" if colour else "bernoulli",
        splits="",
        note="",
        image=name,
        label="label" if label else None,
    )


def _blocks(
    source: Any,
    rows: Sequence[int],
    size: int,
    entry: catalogue.Entry,
    label: str | None,
    directory: Path,
) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(rows), size):
        with _explained(directory), quiet():
            records = source.__getitems__(rows[start : start + size])
        images = [catalogue.transform(entry, r[entry.image]) for r in records]
        if others := {i.shape for i in images} - {entry.shape}:
            raise config.InputError(
                f"the images in {directory} should all be {entry.shape}, but some are "
                f"{others.pop()}; resize them into a folder and give its path"
            )
        block = {"x": np.stack(images)}
        if label:
            block["y"] = np.asarray([r[label] for r in records], np.int32)
        yield block


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    """Turns whatever TFDS and array_record raise into one paragraph."""
    try:
        yield
    except config.InputError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise config.InputError(
            f"the prepared data set in {directory} cannot be read without TensorFlow: "
            f"it is damaged or not in the format array_record ({reason[:200]}); remove "
            "this directory and run: python -m aejax.data prepare NAME"
        ) from error


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
