"""Images of folders and lists as x: sizes, modes and what cannot be read.

``FOLDER[/SPLIT][/CLASS[/…]]/FILE``; ``FOLDER@size=64,fit=crop,skip_bad=3,labels=path``
asks for them in one size, and so on: see ``OPTIONS``.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aejax import config
from aejax.data import cache, dataset, paths, pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")
OPTIONS = {
    "size": "64 (or WIDTHxHEIGHT: makes all images that size)",
    "fit": "crop (the middle, the default), pad (with white) or stretch",
    "skip_bad": "N (as many files may be unreadable)",
    "labels": "path (classes are all folders, A/B, not the first)",
}
LARGEST = 4096  # pixels of a side that may be asked for
# Of a split: files and their labels, None without.
Given = Mapping[str, Sequence[tuple[Path, str | None]]]


class Asked(NamedTuple):
    """``OPTIONS`` as they were given."""

    size: tuple[int, int] | None = None  # width, height
    fit: str = "crop"
    skip_bad: int = 0
    labels: str = "folder"


_PLAIN = Asked()._asdict()


class _Damaged(config.InputError):
    """A file whose header could be read, and whose pixels cannot."""


def asked(name: str, given: Mapping[str, str]) -> Asked:
    """Options as typed, checked.

    Raises:
      InputError: a value that is none.
    """

    def number(key: str, text: str, low: int, high: int) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text[:9]) <= high:
            raise config.InputError(
                f"{key} of '{name}' is '{config.listed([text])}'; it must be a whole "
                f"number from {low} to {high:,}: {key}={OPTIONS[key]}"
            )
        return int(text)

    values: dict[str, Any] = dict(given)
    for key, known in (("fit", pixels.FITS), ("labels", ("folder", "path"))):
        if values.get(key, known[0]) not in known:
            raise config.unknown(f"{name}@{key}", values[key], known)
    if "fit" in values and "size" not in values:
        raise config.InputError(
            f"fit of '{name}' says how images are brought to a size; say that, too: "
            f"{name}@size=64,fit={values['fit']}"
        )
    if "skip_bad" in values:
        values["skip_bad"] = number("skip_bad", values["skip_bad"], 0, 10**9)
    if "size" in values:
        width, _, height = values["size"].partition("x")
        sides = width, height or ("" if "x" in values["size"] else width)
        values["size"] = tuple(number("size", side, 1, LARGEST) for side in sides)
    return Asked(**values)


def load(
    name: str, folder: Path, files: Sequence[Path], options: Mapping[str, str]
) -> dataset.Dataset:
    """x (N, H, W, C) uint8 of these images; y by the first sub-folder, if any.

    As viewers show them: what is transparent on white, and turned as EXIF says. Classes
    are those of all splits, in the order of their names.

    Raises:
      InputError: files that are no images, of several sizes or of unknown range; a
        layout other than FOLDER[/SPLIT][/CLASS[/…]]/FILE.
    """
    if not files:
        raise config.InputError(
            f"the folder {folder} holds no images ({', '.join(SUFFIXES)}) and no MIDI "
            "files; names that begin with a dot do not count"
        )
    wanted = asked(name, options)
    parts, by_split = paths.splits(folder, files)
    given, forms = {}, {}
    for split, some in parts.items():
        given[split] = []
        for file in some:
            inner = file.parts[len(folder.parts) + by_split : -1]
            forms.setdefault(min(len(inner), 2), file)
            whole = "/".join(inner) if wanted.labels == "path" else inner and inner[0]
            given[split].append((file, whole or None))
    if 0 in forms and len(forms) > 1:
        where = "each split" if by_split else f"the folder {folder}"
        examples = (f.relative_to(folder) for f in forms.values())
        raise config.InputError(
            f"images must lie in {where}, all at once or all in one sub-folder per "
            f"class; found for example: {config.listed(examples)}"
        )
    notes = []
    if 2 in forms and wanted.labels == "folder":
        notes = [
            "classes are the first folders alone; all are, A/B, by "
            f"'{_say(name, wanted, labels='path')}'"
        ]
    return fetch(name, folder, given, wanted, notes)


def fetch(
    name: str,
    source: Path,
    given: Given,
    wanted: Asked,
    notes: Iterable[str] = (),
    missing: Mapping[Path, str] | None = None,
    more: Sequence[Path] = (),
) -> dataset.Dataset:
    """Images with labels out of the cache, where they are decoded to first.

    Args:
      missing: {file: why} that are given and cannot be read; more: other files of
        ``source`` that the entry depends on.

    Raises:
      InputError: as ``load``.
    """
    files = [file for some in given.values() for file, _ in some]
    options = [f"{key}={value}" for key, value in _given(wanted).items()]

    def build(whole: bool):
        return _build(name, given, wanted, dict(missing or {}), notes, whole)

    for whole in (False, True):  # only what is damaged costs another look at all
        one = functools.partial(build, whole)
        try:
            return cache.fetch(name, source, [*files, *more], one, options)
        except _Damaged:
            if whole:
                raise


def _build(
    name: str,
    given: Given,
    wanted: Asked,
    bad: dict[Path, str],
    notes: Iterable[str],
    whole: bool,
):
    files = [file for some in given.values() for file, _ in some]
    looks = pixels.survey(files, bad, wanted.size if whole else None, wanted.fit, whole)
    if len(bad) > wanted.skip_bad:
        (first, why), *others = bad.items()
        listed = config.listed((f"{file} ({why})" for file, why in others), 5)
        raise config.InputError(
            f"'{first}' is no readable image ({why})"
            + f"; nor are others, {len(others):,}: {listed}" * bool(others)
            + "; repair or remove what is unreadable, or go without: --dataset "
            f"'{_say(name, wanted, skip_bad=len(bad))}'"
        )
    given = {s: [p for p in some if p[0] not in bad] for s, some in given.items()}
    kinds = Counter(look.mode for look in looks.values())
    sizes = {look.size: file for file, look in looks.items()}
    _check(name, kinds, sizes, wanted)
    mode = "L" if set(kinds) <= pixels.GREY else "RGB"
    size = wanted.size or next(iter(sizes), (1, 1))
    counts = {s: len(some) for s, some in given.items()}
    block = min(cache.BLOCK, max(counts.values()))
    dataset.check_memory(name, size[0] * size[1] * len(mode) * block)
    labels = sorted({label for some in given.values() for _, label in some if label})
    classes = {label: k for k, label in enumerate(labels)}
    decode = functools.partial(_decode, mode, size, wanted.fit, classes)
    streams = {
        split: ([given[origin][i] for i in rows], decode)
        for split, (origin, rows) in dataset.partition(name, counts).items()
    }
    about = {"likelihood": "bernoulli", "scale": 255.0, "num_classes": len(labels)}
    notes = [*pixels.notes(looks.values(), mode, wanted.size, wanted.fit), *notes]
    if bad:
        notes.append(
            f"{len(bad):,} unreadable files are left out: "
            + config.listed((f"{file} ({why})" for file, why in bad.items()), 5)
        )
    return about | {"labels": labels, "notes": notes}, streams


def _given(wanted: Asked) -> dict[str, Any]:
    """What is not as it is by default."""
    return {k: v for k, v in wanted._asdict().items() if v != _PLAIN[k]}


def _say(name: str, wanted: Asked, **more: Any) -> str:
    """The name that asks for this and more."""
    given = _given(wanted) | more
    if isinstance(size := given.get("size"), tuple):
        given["size"] = "x".join(map(str, dict.fromkeys(size)))  # 64 of a square
    return f"{name}@{','.join(f'{key}={value}' for key, value in given.items())}"


def _check(
    name: str,
    kinds: Mapping[str, int],
    sizes: Mapping[tuple[int, int], Path],
    wanted: Asked,
) -> None:
    if "F" in kinds:
        raise config.InputError(
            f"{kinds['F']:,} images in '{name}' are of floats (mode F): what is white "
            "in them is not known; save them as an array x, in an .npy file"
        )
    if len(sizes) > 1 and not wanted.size:
        side = min(64, *(n for size in sizes for n in size))
        some = "; ".join(f"{w}x{h} ({f})" for (w, h), f in list(sizes.items())[:3])
        raise config.InputError(
            f"the images in '{name}' must have one size and have {len(sizes):,}: {some}"
            f"{' …' * (len(sizes) > 3)}; ask for one: --dataset "
            f"'{_say(name, wanted, size=side)}' (the middle), or '…,fit=pad' (all "
            "of it, beside white) or '…,fit=stretch'"
        )


def _decode(
    mode: str,
    size: tuple[int, int],
    fit: str,
    classes: Mapping[str, int],
    rows: Sequence[tuple[Path, str | None]],
) -> dict[str, np.ndarray]:
    x = []
    for file, _ in rows:
        try:
            x.append(pixels.read(file, mode, size, fit))
        except Exception as error:
            reason = pixels.reason(file, error)
            raise _Damaged(f"'{file}' is no readable image ({reason})") from error
    y = [classes[label] for _, label in rows] if classes else []
    return {"x": np.stack(x)} | ({"y": np.asarray(y, np.int32)} if y else {})
