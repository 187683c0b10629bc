"""A user's own data: .npz, .npy, or a folder of images."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from aejax import config
from aejax.data import cache, dataset, prepared

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm")
_SPLITS = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}
_ENDS = ["", *(f"_{key}" for keys in _SPLITS.values() for key in keys)]
_KNOWN = [field + end for field in ("x", "y", "length") for end in _ENDS]
_BLOCK = 256  # images decoded at a time

Files = list[tuple[Path, str]]  # images, each with its class; "" without classes


def is_path(name: str) -> bool:
    """Whether ``name`` means a file or a folder rather than a data set's name."""
    path = Path(name).expanduser()
    return path.suffix.lower() in (".npz", ".npy") or path.exists()


def load(name: str) -> dataset.Dataset:
    """The data set in a file or folder.

    ``.npz``: arrays x, or x_train with optional x_valid and x_test; y… and length…
    likewise; others are ignored. ``.npy``: x alone. Missing splits are carved from the
    examples after a shuffle with a fixed seed, because such files are often sorted: the
    last tenth is valid, the tenth before it test. uint8 has scale 255; float is never
    rescaled; bool becomes 0 and 1. uint8 or bool (N, H, W) gets a channel axis. Labels,
    numbers or strings, become 0…C-1 in sorted order.

    A folder: its images, or one sub-folder per class; or these below ``train/`` and,
    optionally, ``valid/`` and ``test/``. Decoded once, into the cache.

    Likelihood: bernoulli if all values lie in [0, 1], else gaussian.

    Raises:
      InputError: no such file, or contents that cannot be used, with the reason.
    """
    path = Path(name).expanduser()
    if not path.exists():
        raise config.InputError(f"there is no file '{name}' ({path.absolute()})")
    if path.is_dir():
        return _folder(name, path)
    arrays = _read(path)
    ends = {s: f"_{k}" for s, ks in _SPLITS.items() for k in ks if f"x_{k}" in arrays}
    if ("x" in arrays) == bool(ends) or (ends and "train" not in ends):
        raise config.InputError(
            f"'{name}' must hold either x or x_train (with optional x_valid, x_test), "
            f"but it holds: {', '.join(sorted(arrays)) or 'nothing'}"
        )
    ends = ends or {"train": ""}
    parts = {s: _fields(name, arrays, end) for s, end in ends.items()}
    kinds = {s: arrays["x" + end].dtype.kind for s, end in ends.items()}
    told = {s: (p["x"].shape[1:], kinds[s], *p) for s, p in parts.items()}
    if len(set(told.values())) > 1:
        raise config.InputError(
            f"the splits of '{name}' must be alike: one shape of an example, one kind "
            f"of number, y and length for all or none; they are {told}"
        )
    count = _classes(name, parts) if "y" in parts["train"] else 0
    if len(parts) < 3:
        whole = parts["train"]
        rows = np.random.default_rng(0).permutation(len(whole["x"]))
        rows = dataset.carve(rows, "valid" in parts, "test" in parts)
        parts |= {s: {f: a[r] for f, a in whole.items()} for s, r in rows.items()}
    scale = 255.0 if kinds["train"] == "u" else 1.0
    xs = [fields["x"] for fields in parts.values()]
    unit = all(x.min() >= 0 and x.max() <= scale for x in xs)
    splits = {s: dataset.Split(**fields) for s, fields in parts.items()}
    likelihood = "bernoulli" if unit else "gaussian"
    return dataset.Dataset(
        name, **splits, likelihood=likelihood, scale=scale, num_classes=count
    )


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the file. Object arrays are pickles, which run code: refused."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            with loaded:
                # Others are not opened: they may well be object arrays.
                return {n: loaded[n] if n in _KNOWN else None for n in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"is no readable .npy or .npz file ({error}); write it with np.savez"
        if str(error).startswith("Object arrays"):
            reason = (
                "holds an array of Python objects (dtype object) in place of numbers, "
                "which is never opened; save e.g. np.stack(images).astype(np.uint8)"
            )
        raise config.InputError(f"'{path}' {reason}") from error


def _fields(name: str, arrays: Mapping[str, np.ndarray], end: str):
    """{"x": …, "y": …, "length": …} of one split, as far as given and each checked."""
    x = _values(f"x{end} of '{name}'", arrays[f"x{end}"])
    fields = {"x": x}
    for field in ("y", "length"):
        if (values := arrays.get(field + end)) is not None:
            fields[field] = values
            if values.shape != x.shape[:1]:
                raise config.InputError(
                    f"{field}{end} of '{name}' has shape {values.shape} but x{end} has "
                    f"{len(x)} rows; it must have shape ({len(x)},)"
                )
    if "length" in fields:
        length = fields["length"]
        whole = length.dtype.kind in "iu" and x.ndim == 3
        if not whole or length.min() < 1 or length.max() > x.shape[1]:
            raise config.InputError(
                f"length{end} of '{name}' runs from {length.min()} to {length.max()} "
                f"({length.dtype}) and x{end} has shape {x.shape}; it must be whole "
                "numbers from 1 to T for float sequences of shape (N, T, F)"
            )
        fields["length"] = length.astype(np.int32)
    return fields


def _values(what: str, x: np.ndarray) -> np.ndarray:
    """x as it is stored, uint8 or float32."""
    if not 2 <= x.ndim <= 4 or not x.size:
        raise config.InputError(
            f"{what} has shape {x.shape}; it must be (N, D), (N, T, F) or images "
            "(N, H, W) or (N, H, W, C), with N examples, none of these 0"
        )
    if x.ndim == 4 and x.shape[1] in (1, 3) and x.shape[3] not in (1, 3):
        raise config.InputError(
            f"{what} has shape {x.shape}, which looks like channels first; images are "
            "(N, H, W, C) here: save x.transpose(0, 2, 3, 1)"
        )
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(x, np.float32)
        bad = ~np.isfinite(x)
        if count := int(bad.sum()):
            first = tuple(int(i) for i in np.unravel_index(bad.argmax(), x.shape))
            raise config.InputError(
                f"{what} has {count} entries that are not finite as float32 (NaN or "
                f"infinite), the first at index {first}; remove or replace them"
            )
        return x
    if x.dtype not in (np.uint8, np.bool_):
        inside = x.dtype.kind in "iu" and 0 <= x.min() and x.max() <= 255
        advice = "x.astype(np.uint8) if they are grey levels, else " if inside else ""
        raise config.InputError(
            f"{what} has dtype {x.dtype}; uint8, bool and float are understood: save "
            f"{advice}x.astype(np.float32)"
        )
    if x.dtype == np.uint8 and x.max() <= 1:  # division by 255 would leave it black
        raise config.InputError(
            f"{what} is uint8, whose values count from 0 to 255, but the largest is "
            f"{x.max()}; save binary data as x.astype(bool)"
        )
    return np.ascontiguousarray(x[..., None] if x.ndim == 3 else x, np.uint8)


def _classes(name: str, parts: Mapping[str, dict[str, np.ndarray]]) -> int:
    """Makes every y int32 positions in the sorted list of labels; their number."""
    labels = [fields["y"] for fields in parts.values()]
    kinds = {y.dtype.kind for y in labels}
    if not any(kinds <= allowed for allowed in ({"i", "u"}, {"b"}, {"U"}, {"S"})):
        raise config.InputError(
            f"labels are whole numbers or strings, in every split alike, but y of "
            f"'{name}' is {', '.join({str(y.dtype) for y in labels})}"
        )
    values = np.unique(np.concatenate(labels))
    for fields in parts.values():
        fields["y"] = np.searchsorted(values, fields["y"]).astype(np.int32)
    return len(values)


def _folder(name: str, path: Path) -> dataset.Dataset:
    tops = {s: path / k for s, ks in _SPLITS.items() for k in ks if (path / k).is_dir()}
    tops = tops if "train" in tops else {"train": path}
    found = {s: _images(top) for s, top in tops.items()}
    paths = [file for images in found.values() for file, _ in images]
    key = prepared.key(path.name, path, paths)
    about, arrays = cache.fetch(key, lambda: _build(name, found))
    splits = {s: dataset.Split(**fields) for s, fields in arrays.items()}
    return dataset.Dataset(name, **splits, **about)


def _images(top: Path) -> Files:
    def inside(folder: Path) -> list[Path]:
        return sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)

    folders = sorted(folder for folder in top.iterdir() if folder.is_dir())
    labelled = [(file, folder.name) for folder in folders for file in inside(folder)]
    loose = [(file, "") for file in inside(top)]
    if bool(labelled) == bool(loose):
        raise config.InputError(
            f"the folder {top} holds {len(loose)} images and {len(labelled)} in its "
            "sub-folders; all must lie in the folder itself, or all in one sub-folder "
            f"per class ({', '.join(SUFFIXES)})"
        )
    return labelled or loose


def _build(name: str, found: Mapping[str, Files]):
    from PIL import Image

    sizes, modes = {}, set()
    for file, _ in [pair for images in found.values() for pair in images]:
        with _readable(file), Image.open(file) as image:  # reads the header only
            sizes.setdefault(image.size, file)
            modes.add(image.mode)
    if len(sizes) > 1 or any(mode[0] in "IF" for mode in modes):
        raise config.InputError(
            f"the images in '{name}' must have one size and 8 bits per channel; found "
            f"{'; '.join(f'{w}x{h} ({f})' for (w, h), f in list(sizes.items())[:3])}, "
            f"modes {', '.join(sorted(modes))}; convert them first"
        )
    train, labels = found["train"], {c for images in found.values() for _, c in images}
    order = np.random.default_rng(0).permutation(len(train))
    rows = dataset.carve(order, "valid" in found, "test" in found)
    found = {**found, **{s: [train[i] for i in r] for s, r in rows.items()}}
    mode = "L" if modes <= {"1", "L", "LA"} else "RGB"
    streams = {
        s: cache.Stream(len(images), _blocks(images, mode, sorted(labels - {""})))
        for s, images in found.items()
    }
    about = {"likelihood": "bernoulli", "scale": 255.0}
    return about | {"num_classes": len(labels - {""})}, streams


def _blocks(images: Files, mode: str, labels: Sequence[str]) -> Iterator[dict]:
    from PIL import Image

    for start in range(0, len(images), _BLOCK):
        x, part = [], images[start : start + _BLOCK]
        for file, _ in part:
            with _readable(file), Image.open(file) as image:
                x.append(np.atleast_3d(np.asarray(image.convert(mode))))
        block = {"x": np.stack(x)}
        if labels:
            block["y"] = np.asarray([labels.index(c) for _, c in part], np.int32)
        yield block


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, SyntaxError) as error:  # as PIL has it
        raise config.InputError(f"'{file}' is no readable image ({error})") from error
