"""The arrays of .npz and .npy files, of sparse ones too: which of them is what."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import dataset

_FIELDS = {
    **dict.fromkeys(("y", "label", "labels"), "y"),
    **dict.fromkeys(("length", "lengths"), "length"),
    "x": "x",
    "factors": "factors",
}
_ENDS = "|".join(dataset.ALIASES)
_NAME = re.compile(rf"({'|'.join(_FIELDS)})(?:[\W_]*({_ENDS}))?", re.I)
# Not one of these, but meant to be, it seems: not to be passed over.
_WORDS = "length|lengths|label|labels|target|targets|mask|masks"
_NO_X = rf"(?:x|y|factors|{_WORDS})(?:[\W_].*)?|.*[\W_](?:{_WORDS})"
_NEAR = re.compile(
    rf"{_NO_X}|(?:{_ENDS})(?:[\W_]*(?:x|y|factors))?",
    re.I | re.S,
)
# Where nothing is called x: the split before or after any word, or the split alone.
_OTHER = re.compile(
    rf"(?:({_ENDS})(?:[\W_]+|$))?(.*?)(?:[\W_]+({_ENDS}))?", re.I | re.S
)
_MAGIC = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")
_SPARSE = {"format", "shape", "data"}  # among scipy.sparse.save_npz's names

Given = dict[str, dict[str, tuple[str, np.ndarray]]]


def is_one(path: Path) -> bool:
    """Whether a file begins as .npy and .npz do, whatever its name.

    Raises:
      InputError: it cannot be read.
    """
    with dataset.explained(f"'{path}' cannot be read"), path.open("rb") as file:
        return file.read(6).startswith(_MAGIC)


def read(name: str, path: Path) -> tuple[Given, Any, list[str]]:
    """{split: {field: (what it is called, array)}}, factor_names or None, and notes.

    Object arrays are pickles, which run code: refused. Other members are not opened.

    Raises:
      InputError: no such file; names that are not understood; more than memory holds.
    """
    problem = f"'{path}' is no readable .npy or .npz file of numbers"
    advice = (
        "; save e.g. np.stack(images).astype(np.uint8) with np.savez, and names of "
        "classes as y.astype(str)"
    )
    with dataset.explained(problem, advice), _no_pickles(), path.open("rb") as file:
        if not is_one(path):  # NumPy would take it for a pickle
            raise ValueError("it begins as neither does")
        if path.suffix.lower() == ".npy":
            dataset.check_memory(name, path.stat().st_size)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"train": {"x": ("x", loaded)}}, None, []
        if set(loaded) > _SPARSE:
            x, note = _dense(name, path, loaded)
            return {"train": {"x": ("x", x)}}, None, [note]
        places, note = fields(name, list(loaded))
        sizes = {m.filename: m.file_size for m in loaded.zip.infolist()}
        dataset.check_memory(name, sum(sizes.get(f"{n}.npy", 0) for n in places))
        names = loaded["factor_names"] if "factor_names" in loaded else None
        given: Given = {}
        for array, (split, field) in places.items():
            if not isinstance(values := loaded[array], np.ndarray):
                raise ValueError(f"its member {array} is no array")
            given.setdefault(split, {})[field] = array, values
    return given, names, note


def _dense(name: str, path: Path, loaded: Any) -> tuple[np.ndarray, str]:
    """x (N, D) of a matrix that scipy.sparse saved, and what to say of it."""
    import humanize
    from scipy import sparse

    shape = [int(n) for n in np.ravel(loaded["shape"])]
    floats = loaded["data"].dtype.kind == "f"
    size = int(np.prod(shape, dtype=object)) * (
        4 if floats else loaded["data"].itemsize
    )
    dataset.check_memory(name, size)
    matrix = sparse.load_npz(path)
    if hasattr(matrix, "check_format"):  # else indices beyond it are written to
        matrix.check_format()
    x = (matrix.astype(np.float32) if floats else matrix).toarray()
    share = f"{matrix.nnz / max(x.size, 1):.2g} of its elements stored"
    sizes = "×".join(f"{n:,}" for n in x.shape)
    note = f"a sparse {matrix.format} matrix {sizes}, {share}, takes "
    return x, f"{note}{humanize.naturalsize(x.nbytes)} as an array"


@contextlib.contextmanager
def _no_pickles() -> Iterator[None]:
    """Says what NumPy refuses without its advice to allow it."""
    try:
        yield
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError("pickled objects, which may run code: refused") from error


def fields(
    name: str, names: Sequence[str]
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """{name of an array: (split, field)} of those that are read, and notes.

    Where no array is called x, the only one, or only one per split, that is called
    otherwise is x: images, arr_0, or train_images beside test_images and test_labels.

    Raises:
      InputError: two names of one array; names that are nearly right.
    """
    arrays: dict[tuple[str, str], str] = {}
    near = []
    places, others = _named(names)
    for array in names:
        if array in places:
            if (key := places[array]) in arrays:
                raise config.InputError(
                    f"'{name}' has both {arrays[key]} and {array}, two names of one "
                    "array: leave one"
                )
            arrays[key] = array
        elif array != "factor_names" and _NEAR.fullmatch(array):
            near.append(array)
    splits = {split for split, field in arrays if field == "x"}
    if splits != {""} and ("" in splits or "train" not in splits):
        raise config.InputError(
            f"'{name}' must hold either x or x_train (with optional x_valid, x_test), "
            "or one array of another name, or one per split; but it holds: "
            f"{config.listed(sorted(names) or ['nothing'], 10)}"
        )
    near += [array for (split, _), array in arrays.items() if split not in splits]
    if near:
        raise config.InputError(
            f"'{name}' holds {config.listed(near, 10)}, of no name that is read but "
            "like one: x, y (label, labels), length (lengths), factors, alone or with "
            "_train, _valid (_val, _validation, _dev) or _test, as its x has it, and "
            "factor_names; rename or remove it"
        )
    notes = [f"{config.listed(others, 10)} is taken as x"] if others else []
    return {array: (split or "train", f) for (split, f), array in arrays.items()}, notes


def _named(names: Sequence[str]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """{array: (split or "", field)} by its name, and those that are x by no other."""
    places = {
        array: (dataset.ALIASES[match[2].lower()] if match[2] else "", match[1].lower())
        for array in names
        if (match := _NAME.fullmatch(array))
    }
    places = {array: (split, _FIELDS[word]) for array, (split, word) in places.items()}
    if "x" in {field for _, field in places.values()}:
        return places, []
    parts = dict(places)
    for array in set(names) - {*places, "factor_names"}:
        before, word, after = _OTHER.fullmatch(array).groups()
        if not (before and after):
            end = (before or after or "").lower()
            word = _FIELDS.get(word.lower(), f" {word.lower()}")
            parts[array] = dataset.ALIASES.get(end, ""), word
    words = {word for _, word in parts.values()} - {*_FIELDS.values()} or {"x"}
    (word, *more) = words
    if more or re.fullmatch(_NO_X, word[1:], re.I | re.S):
        return places, []
    known = {a: (s, "x" if f == word else f) for a, (s, f) in parts.items()}
    return known, sorted(array for array, (_, field) in known.items() if field == "x")
