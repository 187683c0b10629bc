"""Text by lines: every character a symbol, every line a sequence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aejax import config
from aejax.data import dataset

LONGEST = 128  # characters of an example; longer lines are cut into several


def load(name: str) -> dataset.Dataset:
    """The lines of a UTF-8 .txt file as x (N, T, 1) symbol ids with their lengths.

    Symbols are the file's distinct characters in order, at most 256; what lies beyond
    a line's length is 0. Splits are made after a shuffle (``dataset.partition``).

    Raises:
      InputError: not text, fewer than two distinct characters or more than 256.
    """
    with dataset.explained(f"'{name}' is no readable UTF-8 text"):
        text = Path(name).expanduser().read_text("utf-8")
        if "\0" in text:  # the first symbol of music
            raise ValueError("it has a NUL character")
    lines = [
        line[start : start + LONGEST]
        for line in text.splitlines()
        for start in range(0, len(line), LONGEST)
        if line.strip()
    ]
    symbols = "".join(sorted(set("".join(lines))))
    if not 2 <= len(symbols) <= 256:
        raise config.InputError(
            f"'{name}' has {len(symbols)} distinct characters; from 2 to 256 can be "
            "symbols of a sequence"
        )
    x, length = to_ids(lines, symbols, max(map(len, lines)))
    parts = dataset.partition(name, {"train": len(lines)})
    splits = {
        split: dataset.Split(x[rows], length=length[rows])
        for split, (_, rows) in parts.items()
    }
    about = {"likelihood": "tokens", "scale": len(symbols) - 1.0, "symbols": symbols}
    return dataset.Dataset(name, **splits, **about)


def to_ids(
    lines: Sequence[str], symbols: str, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N, steps, 1) uint8 of lines, cut to ``steps``, and their lengths (N,).

    Raises:
      InputError: an empty line, or a character that is not among the symbols.
    """
    ids = {symbol: i for i, symbol in enumerate(symbols)}
    if unknown := set("".join(lines)) - set(symbols):
        raise config.InputError(
            f"{sorted(unknown)} are not among the symbols {symbols!r}"
        )
    if not all(lines):
        raise config.InputError("an empty line has no symbols")
    x = np.zeros((len(lines), steps, 1), np.uint8)
    length = np.array([min(len(line), steps) for line in lines], np.int32)
    for row, line in zip(x, lines, strict=True):
        row[: len(line[:steps]), 0] = [ids[c] for c in line[:steps]]
    return x, length


def to_lines(x: np.ndarray, symbols: str, length: np.ndarray) -> list[str]:
    """Lines of x (N, T, 1) in data units, as models take and give it: ids / scale."""
    ids = np.rint(np.asarray(x)[..., 0] * (len(symbols) - 1)).astype(int)
    rows = zip(ids, length, strict=True)
    return ["".join(symbols[i] for i in row[:n]) for row, n in rows]
