"""Arrays of .npz and .npy files: their names, their checks, their splits."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
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
_NEAR = re.compile(
    rf"(?:x|y|factors|{_WORDS})(?:[\W_].*)?|.*[\W_](?:{_WORDS})"
    rf"|(?:{_ENDS})(?:[\W_]*(?:x|y|factors))?",
    re.I | re.S,
)
_MAGIC = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")
WORDS = 1 << 20  # of captions: more is no vocabulary


def is_one(path: Path) -> bool:
    """Whether a file begins as .npy and .npz do, whatever its name.

    Raises:
      InputError: it cannot be read.
    """
    with dataset.explained(f"'{path}' cannot be read"), path.open("rb") as file:
        return file.read(6).startswith(_MAGIC)


def load(name: str, path: Path) -> dataset.Dataset:
    """The data set in a .npz or .npy file.

    ``.npz``: arrays x, or x_train with optional x_valid and x_test; y… (also label or
    labels) and length… (lengths) likewise, and factors… (N, F) with factor_names (F,).
    For valid say val, validation or dev as well; case does not matter. A name that
    looks like one of these and is none, like x_extra, train_x or mask, is refused, so
    that nothing is lost without a word; other names are ignored. ``.npy``: x alone.

    uint8 has scale 255; float is never rescaled; bool becomes 0 and 1. uint8 or bool
    (N, H, W) gets a channel axis. Labels, numbers or strings, become 0…C-1 in sorted
    order and are kept as ``labels``; y (N, L) are captions: whole numbers, ids of words
    from 1 and 0 beyond the end. Factors are whole numbers, kept as they are. Of series
    with length the steps beyond it are made 0, NaN for example.

    Raises:
      InputError: contents that cannot be used, with the reason.
    """
    given, factor_names = _read(name, path)
    given = {split: _checked(name, fields) for split, fields in given.items()}
    sentences = {
        s: f"{s} has {', '.join(f)} and examples {f['x'].shape[1:]} of {kind}"
        for s, (f, kind) in given.items()
    }
    if len({t.partition(" has ")[2] for t in sentences.values()}) > 1:
        raise config.InputError(
            f"the splits of '{name}' must be alike: one shape of an example, one kind "
            "of number, y, length and factors for all or none; but "
            f"{'; '.join(sentences.values())}"
        )
    kind = given["train"][1]
    given = {split: fields for split, (fields, _) in given.items()}
    names = _factor_names(name, factor_names, given)
    about = _number_labels(name, given) if "y" in given["train"] else {}
    scale = 255.0 if kind == "uint8" else 1.0
    unit = all(f["x"].min() >= 0 and f["x"].max() <= scale for f in given.values())
    parts = dataset.partition(
        name, {s: len(fields["x"]) for s, fields in given.items()}
    )
    fields = {
        split: {f: a[rows] for f, a in given[origin].items()}
        for split, (origin, rows) in parts.items()
    }
    factors = {s: f.pop("factors") for s, f in fields.items() if "factors" in f}
    about |= {"factors": factors or None, "factor_names": names}
    splits = (dataset.Split(**f) for f in fields.values())
    likelihood = "bernoulli" if unit else "gaussian"
    return dataset.Dataset(name, *splits, likelihood, scale, **about)


def _read(name: str, path: Path) -> tuple[dict[str, dict[str, tuple]], Any]:
    """{split: {field: (what it is called, array)}}, and factor_names or None.

    Object arrays are pickles, which run code: refused. Other members are not opened.
    """
    problem = f"'{path}' is no readable .npy or .npz file of numbers"
    advice = "; save e.g. np.stack(images).astype(np.uint8) with np.savez"
    with dataset.explained(problem, advice), _no_pickles(), path.open("rb") as file:
        if not is_one(path):  # NumPy would take it for a pickle
            raise ValueError("it begins as neither does")
        if path.suffix.lower() == ".npy":
            dataset.check_memory(name, path.stat().st_size)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"train": {"x": ("x", loaded)}}, None
        places = _places(name, list(loaded))
        sizes = {m.filename: m.file_size for m in loaded.zip.infolist()}
        dataset.check_memory(name, sum(sizes.get(f"{n}.npy", 0) for n in places))
        names = loaded["factor_names"] if "factor_names" in loaded else None
        given: dict[str, dict[str, tuple]] = {}
        for array, (split, field) in places.items():
            if not isinstance(values := loaded[array], np.ndarray):
                raise ValueError(f"its member {array} is no array")
            given.setdefault(split, {})[field] = array, values
    return given, names


@contextlib.contextmanager
def _no_pickles() -> Iterator[None]:
    """Says what NumPy refuses without its advice to allow it."""
    try:
        yield
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError("pickled objects, which may run code: refused") from error


def _places(name: str, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """{name of an array: (split, field)} of those that are read."""
    arrays: dict[tuple[str, str], str] = {}
    near = []
    for array in names:
        if match := _NAME.fullmatch(array):
            split = dataset.ALIASES[match[2].lower()] if match[2] else ""
            key = split, _FIELDS[match[1].lower()]
            if key in arrays:
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
            f"but it holds: {config.listed(sorted(names) or ['nothing'], 10)}"
        )
    near += [array for (split, _), array in arrays.items() if split not in splits]
    if near:
        raise config.InputError(
            f"'{name}' holds {config.listed(near, 10)}, of no name that is read but "
            "like one: x, y (label, labels), length (lengths), factors, alone or with "
            "_train, _valid (_val, _validation, _dev) or _test, as its x has it, and "
            "factor_names; rename or remove it"
        )
    return {array: (split or "train", f) for (split, f), array in arrays.items()}


def _checked(
    name: str, given: Mapping[str, tuple[str, np.ndarray]]
) -> tuple[dict[str, np.ndarray], str]:
    """{"x", "y", "length", "factors": …} of a split, as far as given, and x's kind."""
    what = {field: f"{called} of '{name}'" for field, (called, _) in given.items()}
    fields = {field: values for field, (_, values) in given.items()}
    stored, called = fields["x"], given["x"][0]
    for field in {"y", "length"} & set(fields):
        shape = fields[field].shape
        if shape[:1] != stored.shape[:1] or len(shape) > 1 + (field == "y"):
            raise config.InputError(
                f"{what[field]} has shape {shape} but {called} has {len(stored)} "
                f"rows; it must have shape ({len(stored)},)"
            )
    if "length" in fields:
        fields["length"] = _lengths(what["length"], fields["length"], called, stored)
    x = _values(what["x"], stored, fields.get("length"))
    if (factors := fields.get("factors")) is not None:
        fits = factors.ndim == 2 and len(factors) == len(x) and factors.size
        if factors.dtype.kind not in "iu" or not fits:
            raise config.InputError(
                f"{what['factors']} has shape {factors.shape} and dtype "
                f"{factors.dtype}; it must be ({len(x)}, F), a row for each of "
                f"{called}, and of whole numbers: which value, counted, not the value "
                "itself"
            )
    kind = {"b": "bool", "f": "float"}.get(stored.dtype.kind, "uint8")
    return {"x": x} | {f: v for f, v in fields.items() if f != "x"}, kind


def _lengths(what: str, length: np.ndarray, called: str, x: np.ndarray) -> np.ndarray:
    """(N,) int32; whole numbers may be stored as float."""
    number = length.dtype.kind in "iuf"
    if not number or (length.dtype.kind == "f" and (length != np.rint(length)).any()):
        raise config.InputError(
            f"{what} must be whole numbers, but it is {length.dtype}"
        )
    if x.ndim != 3 or not x.size or not 1 <= length.min() <= length.max() <= x.shape[1]:
        ends = f"from {length.min()} to {length.max()}" if length.size else "nowhere"
        raise config.InputError(
            f"{what} runs {ends} and {called} has shape {x.shape}; it must lie in "
            "1 … T of (N, T, F)"
        )
    return length.astype(np.int32)


def _values(what: str, x: np.ndarray, length: np.ndarray | None) -> np.ndarray:
    """x as it is stored, uint8 or float32; 0 beyond the length of a series."""
    number = x.dtype.kind == "f" or x.dtype in (np.uint8, np.bool_)
    if not 2 <= x.ndim <= 4 or not x.size or not number:
        raise config.InputError(
            f"{what} has shape {x.shape} and dtype {x.dtype}; it must be (N, D), "
            "(N, T, F), (N, H, W) or (N, H, W, C), not empty, and uint8 (grey levels "
            "from 0 to 255), bool or float: save x.astype(np.float32)"
        )
    colours = (1, 3, 4)
    if x.ndim == 4 and x.shape[1] in colours and x.shape[3] not in colours:
        if x.shape[1] != x.shape[2]:  # else small squares of many channels
            raise config.InputError(
                f"{what} has shape {x.shape}: channels come last, (N, H, W, C), and "
                "here they seem to come first; save x.transpose(0, 2, 3, 1)"
            )
    if length is not None:
        valid = np.arange(x.shape[1]) < length[:, None]  # (N, T)
        x = np.where(valid[..., None], x, x.dtype.type(0))
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, np.float32)
        bad = ~np.isfinite(x)
        if bad.any():
            first = tuple(np.argwhere(bad)[0].tolist())
            raise config.InputError(
                f"{what} has {bad.sum()} entries that are not finite as float32, the "
                f"first at index {first}; remove or replace them, or give length of "
                "series (N, T, F) that end earlier"
            )
        return x
    if x.dtype == np.uint8 and x.max() <= 1:  # division by 255 would leave it black
        raise config.InputError(
            f"{what} is uint8, from 0 to 255, but at most {x.max()}; save binary data "
            "as x.astype(bool)"
        )
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x, np.uint8)


def _factor_names(name: str, names: Any, given: Mapping[str, Mapping]) -> tuple:
    """Names of the columns of all splits' factors: those given, or factor 0, …"""
    widths = [f["factors"].shape[1] for f in given.values() if "factors" in f]
    if not widths:
        return ()
    if names is None:
        names = np.array([f"factor {i}" for i in range(widths[0])])
    fits = np.shape(names) == (widths[0],) and names.dtype.kind in "US"
    if len(set(widths)) > 1 or not fits or len(set(names.tolist())) < widths[0]:
        raise config.InputError(
            f"factors of '{name}' have {', '.join(map(str, widths))} columns and "
            f"factor_names shape {np.shape(names)} and dtype "
            f"{getattr(names, 'dtype', 'none')}; every split must have the same "
            "columns, each with a name of its own, a string"
        )
    return tuple(names.astype(str).tolist())


def _number_labels(name: str, given: Mapping[str, dict[str, np.ndarray]]) -> dict:
    """Makes every y int32 positions in the sorted list of labels, or ids of words.

    What a Dataset has of them: num_classes and labels.
    """
    labels = [fields["y"] for fields in given.values()]
    kinds = {y.dtype.kind.replace("u", "i") for y in labels}
    if len(kinds) > 1 or not kinds <= set("ibUS"):
        raise config.InputError(
            f"labels are whole numbers or strings, in every split alike, but y of "
            f"'{name}' is {', '.join({str(y.dtype) for y in labels})}"
        )
    if any(y.ndim == 2 for y in labels):
        alike = kinds == {"i"} and len({y.shape[1:] for y in labels}) == 1
        ids = np.concatenate(labels) if alike else np.zeros((0, 0))
        if ids.shape[1] < 2 or ids.min() < 0 or not 2 <= ids.max() < WORDS:
            raise config.InputError(
                f"y (N, L) of '{name}' must be captions: whole numbers, ids of words "
                f"from 1 and 0 beyond the end of each, below {WORDS:,}, L the same in "
                "every split; of one-hot labels give y.argmax(1), of a column y[:, 0]"
            )
        for fields in given.values():
            fields["y"] = fields["y"].astype(np.int32)
        return {"num_classes": int(ids.max()) + 1}
    values = np.unique(np.concatenate(labels))
    for fields in given.values():
        fields["y"] = np.searchsorted(values, fields["y"]).astype(np.int32)
    if kinds == {"b"}:
        values = values.astype(int)
    labels = [
        v.decode("utf-8", "replace") if kinds == {"S"} else str(v) for v in values
    ]
    return {"num_classes": len(values), "labels": tuple(labels)}
