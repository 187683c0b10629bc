"""A list of images: a .csv file with a column path, and label and split if known."""

import csv
from collections.abc import Mapping
from pathlib import Path

from aejax import config
from aejax.data import dataset, images

_COLUMNS = ("path", "label", "split")
OPTIONS = {key: about for key, about in images.OPTIONS.items() if key != "labels"}


def is_one(path: Path) -> bool:
    """Whether a .csv file has a column path, of images or beside label and split alone;
    any other .csv is a table."""
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            names = _header(next(lines, []))
            if "path" not in names or set(names) <= set(_COLUMNS):
                return "path" in names
            first = dict(zip(names, next(lines, []), strict=False)).get("path", "")
            return first.strip().lower().endswith(images.SUFFIXES)
    except (OSError, ValueError, csv.Error):
        return False


def _header(names: list[str]) -> list[str]:
    return [name.strip().lower() for name in names]


def load(name: str, path: Path, options: Mapping[str, str]) -> dataset.Dataset:
    """The images whose paths, from the list's own folder, are in it: ``images.load``.

    Splits that it does not have are made (``dataset.partition``). A file that is not
    there is as one that cannot be read.

    Raises:
      InputError: a line without a path, or without a label or split where others have
        one; an unknown split; as ``images.load``.
    """
    given: dict[str, list[tuple[Path, str | None]]] = {"train": []}
    missing: dict[Path, str] = {}
    first: tuple[bool, bool] | None = None
    with (
        dataset.explained(f"'{name}' is no readable list of images"),
        path.open(encoding="utf-8-sig", newline="") as file,
    ):
        lines = csv.reader(file)
        columns = _header(next(lines))
        if twice := [c for c in _COLUMNS if columns.count(c) > 1]:
            raise ValueError(f"it has two columns {config.listed(twice)}")
        for cells in lines:
            row = dict(zip(columns, map(str.strip, cells), strict=False))
            if not any(row.values()):
                continue
            where, label, part = (row.get(column, "") for column in _COLUMNS)
            first = first or (bool(label), bool(part))
            if not where or (bool(label), bool(part)) != first:
                raise ValueError(
                    f"line {lines.line_num} is {','.join(cells)[:99]!r}; every line "
                    "has a path, and label and split if the first one has"
                )
            if (split := dataset.ALIASES.get(part.lower() or "train")) is None:
                raise ValueError(
                    f"line {lines.line_num} has the split {part[:99]!r}; splits are "
                    f"{', '.join(dataset.SPLITS)}"
                )
            image = path.parent / where
            if image.is_file():
                given.setdefault(split, []).append((image, label or None))
            else:
                missing[image] = f"line {lines.line_num}: there is no such file"
    wanted = images.asked(name, options)
    return images.fetch(name, path, given, wanted, (), missing, [path])
