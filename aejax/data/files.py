"""A user's own data: .npz, .npy, .txt, a folder of images; music (see there)."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import cache, dataset, music, text

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def is_path(name: str) -> bool:
    """Whether ``name`` means a file or a folder rather than a data set's name."""
    path = Path(name).expanduser()
    return path.suffix.lower() in (".npz", ".npy", ".txt", ".json") or path.exists()


def load(name: str) -> dataset.Dataset:
    """The data set in a file or folder.

    ``.npz``: arrays x, or x_train with optional x_valid and x_test; y… and length…
    likewise, and factors… (N, F) with factor_names (F,); others are ignored. ``.npy``:
    x alone. uint8 has scale 255; float is never rescaled; bool becomes 0 and 1. uint8
    or bool (N, H, W) gets a channel axis. Labels, numbers or strings, become 0…C-1 in
    sorted order; y (N, L) are captions: whole numbers, ids of words from 1 and 0 beyond
    the end. Factors are whole numbers, kept as they are.

    A folder: its images, or one sub-folder per class. Decoded once, into the cache.

    Missing splits are carved after a shuffle (see ``dataset.carve``), because such data
    are often sorted. Likelihood: bernoulli if all values lie in [0, 1], else gaussian.

    Raises:
      InputError: no such file, or contents that cannot be used, with the reason.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise config.InputError(f"there is no file '{name}' ({path.absolute()})")
    if path.suffix.lower() == ".json" or (path.is_dir() and music.files(path)):
        return music.load(name)
    if path.is_dir():
        return _folder(name, path)
    if path.suffix.lower() == ".txt":
        return text.load(name)
    arrays = _read(path)
    ends = {s: f"_{s}" for s in dataset.SPLITS if f"x_{s}" in arrays}
    if ("x" in arrays) == bool(ends) or (ends and "train" not in ends):
        raise config.InputError(
            f"'{name}' must hold either x or x_train (with optional x_valid, x_test), "
            f"but it holds: {', '.join(sorted(arrays)) or 'nothing'}"
        )
    ends = ends or {"train": ""}
    given = {s: _fields(name, arrays, end) for s, end in ends.items()}
    kinds = {s: arrays["x" + end].dtype.kind for s, end in ends.items()}
    told = {s: (f["x"].shape[1:], kinds[s], *f) for s, f in given.items()}
    if len(set(told.values())) > 1:
        raise config.InputError(
            f"the splits of '{name}' must be alike: one shape of an example, one kind "
            f"of number, y, length and factors for all or none; they are {told}"
        )
    factors = {s: f.pop("factors") for s, f in given.items() if "factors" in f}
    names = _factor_names(name, arrays, factors) if factors else ()
    classes = _number_labels(name, given) if "y" in given["train"] else 0
    scale = 255.0 if kinds["train"] == "u" else 1.0
    xs = [fields["x"] for fields in given.values()]
    unit = all(x.min() >= 0 and x.max() <= scale for x in xs)
    parts = dataset.carve({s: len(fields["x"]) for s, fields in given.items()})
    splits = [
        dataset.Split(**{f: a[rows] for f, a in given[origin].items()})
        for origin, rows in parts.values()
    ]
    about = "bernoulli" if unit else "gaussian", scale, classes
    if factors:
        factors = {s: factors[origin][rows] for s, (origin, rows) in parts.items()}
    return dataset.Dataset(
        name, *splits, *about, factors=factors or None, factor_names=names
    )


def _read(path: Path) -> dict[str, np.ndarray | None]:
    """The arrays of the file. Object arrays are pickles, which run code: refused."""
    told = f"'{path}' is no readable .npy or .npz file of numbers"
    advice = "; save e.g. np.stack(images).astype(np.uint8) with np.savez"
    with dataset.explained(told, advice), path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        # Others are not opened: they may well be object arrays.
        kinds = (*dataset.Split._fields, "factors")
        known = [n for n in loaded if n.partition("_")[0] in kinds]
        known += ["factor_names"] * ("factor_names" in loaded)
        return dict.fromkeys(loaded) | {n: loaded[n] for n in known}


def _fields(name: str, arrays: Mapping[str, np.ndarray], end: str):
    """{"x", "y", "length", "factors": …} of a split, as far as given, each checked."""
    x = _values(f"x{end} of '{name}'", arrays[f"x{end}"])
    given = {f: arrays[f + end] for f in ("y", "length") if f + end in arrays}
    for field, values in given.items():
        if values.shape[:1] != x.shape[:1] or values.ndim > 1 + (field == "y"):
            raise config.InputError(
                f"{field}{end} of '{name}' has shape {values.shape} but x{end} has "
                f"{len(x)} rows; it must have shape ({len(x)},)"
            )
    if "length" in given:
        whole = given["length"].dtype.kind in "iu"
        length = given["length"] = given["length"].astype(np.int32)
        if not whole or x.ndim != 3 or length.min() < 1 or length.max() > x.shape[1]:
            raise config.InputError(
                f"length{end} of '{name}' runs from {length.min()} to {length.max()} "
                f"and x{end} has shape {x.shape}; it must lie in 1 … T of (N, T, F)"
            )
    if (factors := arrays.get(f"factors{end}")) is not None:
        number = factors.dtype.kind in "iu"
        if (
            not number
            or factors.ndim != 2
            or len(factors) != len(x)
            or not factors.size
        ):
            raise config.InputError(
                f"factors{end} of '{name}' has shape {factors.shape} and dtype "
                f"{factors.dtype}; it must be ({len(x)}, F), a row for each of x{end}, "
                "and of whole numbers: which value, counted, not the value itself"
            )
        given["factors"] = factors
    return {"x": x} | given


def _factor_names(
    name: str, arrays: Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray]
) -> tuple[str, ...]:
    """Names of the columns of all splits' factors: those given, or factor 0, …"""
    widths = [v.shape[1] for v in factors.values()]
    names = arrays.get(
        "factor_names", np.array([f"factor {i}" for i in range(widths[0])])
    )
    fits = names.dtype.kind in "US" and names.shape == (widths[0],)
    if len(set(widths)) > 1 or not fits or len(set(names.tolist())) < widths[0]:
        raise config.InputError(
            f"factors of '{name}' have {', '.join(map(str, widths))} columns and "
            f"factor_names shape {names.shape} and dtype {names.dtype}; every split "
            "must have the same columns, each with a name of its own, a string"
        )
    return tuple(names.astype(str).tolist())


def _values(what: str, x: np.ndarray) -> np.ndarray:
    """x as it is stored, uint8 or float32."""
    number = x.dtype.kind == "f" or x.dtype in (np.uint8, np.bool_)
    if not 2 <= x.ndim <= 4 or not x.size or not number:
        raise config.InputError(
            f"{what} has shape {x.shape} and dtype {x.dtype}; it must be (N, D), "
            "(N, T, F), (N, H, W) or (N, H, W, C), not empty, and uint8 (grey levels "
            "from 0 to 255), bool or float: save x.astype(np.float32)"
        )
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, np.float32)
        bad = ~np.isfinite(x)
        if bad.any():
            first = tuple(np.argwhere(bad)[0].tolist())
            raise config.InputError(
                f"{what} has {bad.sum()} entries that are not finite as float32, the "
                f"first at index {first}; remove or replace them"
            )
        return x
    if x.dtype == np.uint8 and x.max() <= 1:  # division by 255 would leave it black
        raise config.InputError(
            f"{what} is uint8, from 0 to 255, but at most {x.max()}; save binary data "
            "as x.astype(bool)"
        )
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x, np.uint8)


def _number_labels(name: str, given: Mapping[str, dict[str, np.ndarray]]) -> int:
    """Makes every y int32 positions in the sorted list of labels; their number."""
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
        if ids.shape[1] < 2 or ids.min() < 0 or ids.max() < 2:
            raise config.InputError(
                f"y (N, L) of '{name}' must be captions: whole numbers, ids of words "
                "from 1 and 0 beyond the end of each, L the same in every split; of "
                "one-hot labels give y.argmax(1), of a column y[:, 0]"
            )
        for fields in given.values():
            fields["y"] = fields["y"].astype(np.int32)
        return int(ids.max()) + 1
    values = np.unique(np.concatenate(labels))
    for fields in given.values():
        fields["y"] = np.searchsorted(values, fields["y"]).astype(np.int32)
    return len(values)


def _folder(name: str, path: Path) -> dataset.Dataset:
    loose, labelled = (
        sorted(f for f in path.glob(pattern) if f.suffix.lower() in SUFFIXES)
        for pattern in ("*", "*/*")
    )
    if bool(labelled) == bool(loose):
        raise config.InputError(
            f"the folder {path} holds {len(loose)} images and {len(labelled)} in its "
            f"sub-folders; use one of both, a sub-folder per class ({SUFFIXES})"
        )
    images, labels = labelled or loose, sorted({f.parent.name for f in labelled})
    return cache.fetch(name, path, images, lambda: _build(name, images, labels))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    from PIL import Image

    with dataset.explained(f"'{file}' is no readable image"), Image.open(file) as image:
        yield image


def _build(name: str, images: Sequence[Path], labels: Sequence[str]):
    sizes, modes = {}, set()
    for file in images:
        with _opened(file) as image:  # reads the header only
            sizes.setdefault(image.size, file)
            modes.add(image.mode)
    if len(sizes) > 1 or any(mode[0] in "IF" for mode in modes):
        raise config.InputError(
            f"the images in '{name}' must have one size and 8 bits per channel; found "
            f"{'; '.join(f'{w}x{h} ({f})' for (w, h), f in list(sizes.items())[:3])}, "
            f"modes {', '.join(sorted(modes))}; convert them first"
        )
    mode = "L" if modes <= {"1", "L", "LA"} else "RGB"
    decode = functools.partial(_decode, mode, labels)
    streams = {
        split: ([images[i] for i in rows], decode)
        for split, (_, rows) in dataset.carve({"train": len(images)}).items()
    }
    about = {"likelihood": "bernoulli", "scale": 255.0, "num_classes": len(labels)}
    return about, streams


def _decode(mode: str, labels: Sequence[str], images: Sequence[Path]):
    x, y = [], []
    for file in images:
        with _opened(file) as image:
            x.append(np.atleast_3d(np.asarray(image.convert(mode))))
        y += [labels.index(file.parent.name)] if labels else []
    return {"x": np.stack(x)} | ({"y": np.asarray(y, np.int32)} if y else {})
