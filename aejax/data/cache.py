"""Decoded arrays on disk, checked when they are opened and rebuilt if damaged.

An entry is a directory ``CACHE/data/KEY`` with files ``SPLIT-FIELD.npy`` and an
``info.json``. It appears by one rename, so that it is whole or absent.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import dataset

VERSION = 1  # of the rules for x and y; a higher number makes every entry stale
IN_MEMORY = 1 << 30  # bytes of one data set; a larger one stays on disk, memory-mapped
_BLOCK = 256  # rows decoded at a time: three times faster than one by one


About = dict[str, Any]  # likelihood, scale and num_classes of a Dataset
# A split still to be decoded: rows, and decode(some rows) -> {"x": …, "y": …}.
Stream = tuple[Sequence[Any], Callable[[Sequence[Any]], Mapping[str, np.ndarray]]]
Build = Callable[[], tuple[About, Mapping[str, Stream]]]


def root() -> Path:
    """$AEJAX_CACHE_DIR, else $XDG_CACHE_HOME/aejax, else ~/.cache/aejax."""
    if own := os.environ.get("AEJAX_CACHE_DIR"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aejax"


def fetch(
    name: str, source: Path, files: Sequence[Path], build: Build
) -> dataset.Dataset:
    """The data set ``name`` out of the cache, built first if it is missing.

    It is built anew when the state of any of its ``files`` below ``source`` changes.

    Raises:
      InputError: the cache cannot be written; whatever ``build`` raises.
    """
    source = source.resolve()
    states = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    facts = json.dumps([VERSION, str(source), states]).encode()
    label = "-".join([*source.parts[-2:], hashlib.sha256(facts).hexdigest()[:16]])
    directory = root() / "data" / label
    try:
        found = _open(directory) or _make(directory, build)
    except OSError as error:  # of writing: those of the source are InputErrors
        raise config.InputError(
            f"data set '{name}' cannot be decoded into the cache ({error}); set "
            "AEJAX_CACHE_DIR to a directory with room for it"
        ) from error
    return found._replace(name=name)


def _open(directory: Path) -> dataset.Dataset | None:
    """The entry, or None if any part of it is missing or not as it was written."""
    try:
        info = json.loads((directory / "info.json").read_text())
        paths = {name: directory / f"{name}.npy" for name in info["crc32"]}
        mapped = sum(path.stat().st_size for path in paths.values()) >= IN_MEMORY
        splits: dict[str, dict[str, np.ndarray]] = {s: {} for s in dataset.SPLITS}
        for name, path in paths.items():
            array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
            # Reading a memory map through would cost what it saves.
            if not mapped and zlib.crc32(array) != info["crc32"][name]:
                return None
            split, field = name.split("-")
            splits[split][field] = array
        parts = {split: dataset.Split(**fields) for split, fields in splits.items()}
        return dataset.Dataset("", **parts, **info["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make(directory: Path, build: Build) -> dataset.Dataset | None:
    parent = directory.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="unfinished-") as temporary:
        (entry := Path(temporary) / "entry").mkdir()
        _write(entry, *build())
        if _open(directory) is None:  # else another process was first: keep its entry
            shutil.rmtree(directory, ignore_errors=True)
            os.replace(entry, directory)
    return _open(directory)


def _write(entry: Path, about: About, streams: Mapping[str, Stream]) -> None:
    """Appends block after block; ordinary writes, because a memory map that meets a
    full disk kills the process (SIGBUS) instead of raising OSError."""
    crc32: dict[str, int] = {}
    for split, (rows, decode) in streams.items():
        for start in range(0, len(rows), _BLOCK):
            for field, array in decode(rows[start : start + _BLOCK]).items():
                name, array = f"{split}-{field}", np.ascontiguousarray(array)
                with (entry / f"{name}.npy").open("ab") as file:
                    if name not in crc32:
                        header = np.lib.format.header_data_from_array_1_0(array)
                        header["shape"] = (len(rows), *array.shape[1:])
                        np.lib.format.write_array_header_1_0(file, header)
                    file.write(array)
                crc32[name] = zlib.crc32(array, crc32.get(name, 0))
    info = json.dumps({"about": about, "crc32": crc32}, indent=1)
    (entry / "info.json").write_text(info)
