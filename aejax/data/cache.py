"""Decoded arrays on disk: written in blocks, checked when opened, rebuilt if damaged.

An entry is a directory ``CACHE/data/KEY`` with one ``.npy`` file per array and an
``info.json`` that holds every shape, dtype, size and CRC-32. It appears by one rename,
so that it is whole or absent.
"""

import contextlib
import json
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aejax import config

IN_MEMORY = 1 << 30  # bytes of one data set; a larger one stays on disk, memory-mapped


class Stream(NamedTuple):
    """A split still to be decoded: ``count`` rows in blocks ``{"x": …, "y": …}``."""

    count: int
    blocks: Iterable[Mapping[str, np.ndarray]]


Arrays = dict[str, dict[str, np.ndarray]]  # split -> field -> array
Build = Callable[[], tuple[dict[str, Any], dict[str, Stream]]]


def root() -> Path:
    """$AEJAX_CACHE_DIR, else $XDG_CACHE_HOME/aejax, else ~/.cache/aejax."""
    if own := os.environ.get("AEJAX_CACHE_DIR"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aejax"


def fetch(key: str, build: Build) -> tuple[dict[str, Any], Arrays]:
    """The entry ``key``: its description and arrays, built first if it is missing.

    ``build`` returns (description, {split: Stream}) and may be called twice: where the
    cache cannot be written, a data set below ``IN_MEMORY`` is decoded into memory, with
    a warning. Data sets from that size on come as read-only memory maps.

    Raises:
      InputError: a large data set and no room for its cache; whatever build raises.
    """
    directory = root() / "data" / key
    found = _open(directory)
    if found is None:
        try:
            _write(directory, *build())
            found = _open(directory)
        except OSError as error:  # of writing: those of the source are InputErrors
            warnings.warn(f"decoded anew each time: {error}", stacklevel=2)
    return _decode(directory, *build()) if found is None else found


def _open(directory: Path) -> tuple[dict[str, Any], Arrays] | None:
    """The entry, or None if any part of it is missing or not as it was written."""
    try:
        info = json.loads((directory / "info.json").read_text())
        total = sum(
            a["size"] for split in info["splits"].values() for a in split.values()
        )
        arrays: Arrays = {}
        for split, fields in info["splits"].items():
            arrays[split] = {}
            for field, facts in fields.items():
                path = directory / f"{split}-{field}.npy"
                if path.stat().st_size != facts["size"]:
                    return None
                mapped = "r" if total >= IN_MEMORY else None
                array = np.load(path, mmap_mode=mapped, allow_pickle=False)
                if [list(array.shape), array.dtype.str] != facts["is"]:
                    return None
                # Reading a memory map through would cost what it saves.
                if not mapped and zlib.crc32(array) != facts["crc32"]:
                    return None
                arrays[split][field] = array
        return info["about"], arrays
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(directory: Path, about: dict[str, Any], streams: dict[str, Stream]) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    for old in directory.parent.glob(f"{directory.name}.tmp*"):  # left by a kill -9
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > 86400:
                shutil.rmtree(old)
    unique = f"{directory.name}.tmp{os.getpid()}-{time.time_ns()}"
    (temporary := directory.with_name(unique)).mkdir()
    try:
        splits = {
            name: _write_split(temporary, name, streams[name]) for name in streams
        }
        info = json.dumps({"about": about, "splits": splits}, indent=1)
        (temporary / "info.json").write_text(info)
        if _open(directory) is None:  # else another process was first: keep its entry
            shutil.rmtree(directory, ignore_errors=True)
            os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_split(directory: Path, split: str, stream: Stream) -> dict[str, Any]:
    """Appends block after block; ordinary writes, because a memory map that meets a
    full disk kills the process (SIGBUS) instead of raising OSError."""
    facts: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        files = {}
        for block in stream.blocks:
            for field, array in block.items():
                array = np.ascontiguousarray(array)
                if field not in files:
                    path = directory / f"{split}-{field}.npy"
                    files[field] = stack.enter_context(open(path, "wb"))
                    shape = (stream.count, *array.shape[1:])
                    header = {"descr": array.dtype.str, "fortran_order": False}
                    np.lib.format.write_array_header_1_0(
                        files[field], header | {"shape": shape}
                    )
                    facts[field] = {"is": [list(shape), array.dtype.str], "crc32": 0}
                files[field].write(array)
                facts[field]["crc32"] = zlib.crc32(array, facts[field]["crc32"])
        for field, file in files.items():
            facts[field]["size"] = file.tell()
    return facts


def _decode(
    directory: Path, about: dict[str, Any], streams: dict[str, Stream]
) -> tuple[dict[str, Any], Arrays]:
    """The same arrays without a cache, if they are small."""
    arrays, total = {}, 0
    for split, stream in streams.items():
        blocks = []
        for block in stream.blocks:
            blocks.append(block)
            total += sum(array.nbytes for array in block.values())
            if total >= IN_MEMORY:
                raise config.InputError(
                    f"the decoded data set does not fit into the cache {directory}, "
                    "which is full or read-only, and is too large to be decoded anew "
                    "each time; set AEJAX_CACHE_DIR to a directory with room for it"
                )
        fields = blocks[0] if blocks else {}
        arrays[split] = {f: np.concatenate([b[f] for b in blocks]) for f in fields}
    return about, arrays
