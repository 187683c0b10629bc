"""Decoded arrays on disk, checked when they are opened and rebuilt if damaged.

An entry is a directory ``CACHE/data/KEY`` with files ``SPLIT-FIELD.npy`` and an
``info.json``. It appears by one rename, so that it is whole or absent.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import dataset

VERSION = 3  # of the rules for x and y; a higher number makes every entry stale
IN_MEMORY = 1 << 30  # bytes of one data set; a larger one stays on disk, memory-mapped
BLOCK = 256  # rows decoded at a time: three times faster than one by one


About = dict[str, Any]  # likelihood, scale, num_classes, labels of a Dataset
# A split still to be decoded: rows, and decode(some rows) -> {"x": …, "y": …}.
Stream = tuple[Sequence[Any], Callable[[Sequence[Any]], Mapping[str, np.ndarray]]]
Build = Callable[[], tuple[About, Mapping[str, Stream]]]


def root() -> Path:
    """$AEJAX_CACHE_DIR, else $XDG_CACHE_HOME/aejax, else ~/.cache/aejax."""
    if folder := os.environ.get("AEJAX_CACHE_DIR"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aejax"


def fetch(
    name: str,
    source: Path,
    files: Sequence[Path],
    build: Build,
    options: Sequence[str] = (),
) -> dataset.Dataset:
    """The data set ``name`` out of the cache, built first if it is missing.

    It is built anew when the state of any of its ``files`` below ``source`` changes;
    each list of ``options``, which say how it is built, has an entry of its own.

    Raises:
      InputError: the cache cannot be written; whatever ``build`` raises.
    """
    source = source.resolve()
    with dataset.explained(f"the files of data set '{name}' cannot be found"):
        states = _states(files)
    more = [list(options)] if options else []
    facts = json.dumps([VERSION, str(source), states, *more]).encode()
    label = "-".join([*source.parts[-2:], hashlib.sha256(facts).hexdigest()[:16]])
    directory = root() / "data" / label
    try:
        data = _open(directory) or _make(name, directory, build)
    except OSError as error:  # of writing: those of the source are InputErrors
        raise config.InputError(
            f"data set '{name}' cannot be decoded into the cache ({error}); set "
            "AEJAX_CACHE_DIR to a directory with room for it"
        ) from error
    return data._replace(name=name)


def _states(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """(path without links, bytes, time of change) of each; a folder is resolved once.

    Raises:
      OSError: there is no such file.
    """
    folders: dict[str, str] = {}
    states = []
    for file in files:
        folder, name = os.path.split(file)
        state = os.lstat(file)
        if stat.S_ISLNK(state.st_mode):
            real, state = str(file.resolve()), file.stat()
        else:
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            real = os.path.join(folders[folder], name)
        states.append((real, state.st_size, state.st_mtime_ns))
    return states


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
        about = info["about"]
        words = {n: tuple(about.pop(n, ())) for n in ("labels", "notes")}
        return dataset.Dataset("", **parts, **about, **words)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make(name: str, directory: Path, build: Build) -> dataset.Dataset:
    parent = directory.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="unfinished-") as temporary:
        (entry := Path(temporary) / "entry").mkdir()
        _write(name, entry, *build())
        if (data := _open(entry)) is None:
            raise OSError(f"{entry} is not as it was written")
        _publish(entry, directory, Path(temporary))
    return data  # opened already: another process may put its own, equal, in its place


def _publish(entry: Path, directory: Path, temporary: Path) -> None:
    """Renames an entry to its place, unless a valid one is there.

    What is there and not valid is moved away before it is removed: a valid entry that
    another process puts there meanwhile is replaced by an equal one, and never missing
    for longer than it takes to rename.
    """
    for attempt in itertools.count():
        try:
            return os.rename(entry, directory)
        except OSError as error:
            taken = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
            if error.errno not in taken or attempt > 9:
                raise
        if _open(directory) is not None:
            return
        with contextlib.suppress(FileNotFoundError):
            os.rename(directory, temporary / f"damaged-{attempt}")


def _write(name: str, entry: Path, about: About, streams: Mapping[str, Stream]) -> None:
    """Appends block after block; ordinary writes, because a memory map that meets a
    full disk kills the process (SIGBUS) instead of raising OSError."""
    crc32: dict[str, int] = {}
    for split, (rows, decode) in streams.items():
        if not len(rows):  # a file of it could not be read again
            raise config.InputError(f"data set '{name}' has no example in {split}")
        for start in range(0, len(rows), BLOCK):
            for field, array in decode(rows[start : start + BLOCK]).items():
                part, array = f"{split}-{field}", np.ascontiguousarray(array)
                with (entry / f"{part}.npy").open("ab") as file:
                    if part not in crc32:
                        header = np.lib.format.header_data_from_array_1_0(array)
                        header["shape"] = (len(rows), *array.shape[1:])
                        np.lib.format.write_array_header_1_0(file, header)
                    file.write(array)
                crc32[part] = zlib.crc32(array, crc32.get(part, 0))
    info = json.dumps({"about": about, "crc32": crc32}, indent=1)
    (entry / "info.json").write_text(info)
