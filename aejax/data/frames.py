"""Files of tables as pandas' DataFrames; what is no table is refused by its line."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aejax import config
from aejax.data import columns, dataset, lists

TEXT = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
ARROW = (".parquet", ".feather")
SUFFIXES = (*TEXT, *ARROW)


def suffix(path: Path) -> str:
    """The one of ``SUFFIXES`` that the path ends in, in any case; or ""."""
    return next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")


def is_one(path: Path) -> bool:
    """Whether it is a table by its name, and no list of images."""
    return bool(suffix(path)) and not lists.is_one(path)


def read(name: str, path: Path) -> Any:
    """The DataFrame in a file.

    Raises:
      InputError: an empty file, a line of too few or too many cells, two columns of one
        name, no names; pyarrow is missing; whatever else keeps it from being read.
    """
    if (end := suffix(path)) in ARROW:
        return _arrow(name, path, end)
    advice = "; save it as UTF-8 text, a row a line, cells separated by commas"
    with dataset.explained(f"'{name}' is no readable table", advice):
        dataset.check_memory(name, 2 * path.stat().st_size)
        names = _names(name, path, TEXT[end])
        import pandas as pd

        return pd.read_csv(
            path,
            sep=TEXT[end],
            names=names,
            header=0,
            index_col=False,
            encoding="utf-8-sig",
            compression="gzip" if end.endswith(".gz") else None,
            low_memory=False,
        )


def _arrow(name: str, path: Path, end: str) -> Any:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise config.InputError(
            f"'{name}' is read by pyarrow, which is not installed: pip install "
            '"aejax[tables]"; or save the table as .csv'
        ) from error
    import pandas as pd

    read = pd.read_parquet if end == ".parquet" else pd.read_feather
    with dataset.explained(f"'{name}' is no readable {end} file"):
        return read(path)


def _names(name: str, path: Path, separator: str) -> list[str]:
    """The first line's cells, after a look at every other line."""
    opened = gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")
    with opened, io.TextIOWrapper(opened, "utf-8-sig", newline="") as text:
        lines = csv.reader(text, delimiter=separator)
        names = [cell.strip() for cell in next(filter(None, lines), [])]
        if not names:
            raise config.InputError(
                f"'{name}' is empty; a table has a first line of names of columns and "
                "a line for each example"
            )
        check_names(name, names)
        for cells in lines:
            if cells and len(cells) != len(names):
                raise config.InputError(
                    f"line {lines.line_num} of '{name}' has {len(cells)} cells, "
                    f"{config.listed([separator.join(cells)])!r}, but the first line "
                    f"names {len(names)} columns; write as many cells in every line, "
                    'with "…" around those that hold a separator'
                )
    return names


def check_names(name: str, names: Sequence[str]) -> None:
    """Refuses what are no names of columns.

    Raises:
      InputError: two of one name; numbers, which are a row; other separators.
    """
    twice = [n for i, n in enumerate(names) if n in names[:i]]
    if twice:
        places = ", ".join(str(i) for i, n in enumerate(names, 1) if n == twice[0])
        raise config.InputError(
            f"'{name}' has two columns of one name, {config.listed(twice)!r} (columns "
            f"{places}); rename or remove one"
        )
    counted = [str(i) for i in range(len(names))]
    if all(map(columns.is_number, names)) and list(names) != counted:
        raise config.InputError(
            f"the first line of '{name}' is {config.listed(names, 5)}: numbers, where "
            "the names of its columns belong; write a line of names above it"
        )
    if len(names) == 1 and (other := next((c for c in ";\t|" if c in names[0]), "")):
        raise config.InputError(
            f"'{name}' has the one column {config.listed(names)!r}: its cells seem to "
            f"be separated by {other!r}; in Python: pandas.read_csv({name!r}, "
            f"sep={other!r}, decimal=',' or '.').to_csv({name!r}, index=False)"
        )
