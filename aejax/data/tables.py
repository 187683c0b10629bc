"""Tables: .csv, .tsv, .parquet, .feather or a DataFrame as x (N, D) of float32.

Numbers in standard units, booleans as 0 and 1, categories one-hot, in the order of the
columns. ``table.csv@label=species,standardize=none,drop=name+date`` asks for more, and
``table.csv:species`` for a label alone.
"""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import (
    arrays,
    columns,
    dataset,
    encoding,
    frames,
    missing,
    standard,
)

OPTIONS = {
    "label": "COLUMN (whose values are classes)",
    "standardize": "zscore (the default), quantile or none",
    "drop": "COLUMN+COLUMN (left out)",
    "hide": missing.OPTION,
}
_LABELS = ("label", "target", "class", "y")  # which others may have meant
Frames = Mapping[str, Any]  # {split: DataFrame}


def load(name: str, path: Path, options: Mapping[str, str]) -> dataset.Dataset:
    """The data set in a file of a table, see ``from_table``.

    Raises:
      InputError: as ``frames.read`` and ``from_table``.
    """
    given = {"standardize": "zscore"} | options
    dropped = [n for n in given.pop("drop", "").split("+") if n]
    hide = given.pop("hide", 0)

    def ask(key: str, value: str) -> str:
        more = {**options, key: "+".join([*dropped, value])}
        return f"--dataset '{say(name, more)}'"

    frame = frames.read(name, path)
    short = say(name, {k: v for k, v in options.items() if k != "label"})
    data = _build(name, {"train": frame}, **given, drop=dropped, ask=ask, short=short)
    return missing.hidden(data, hide)


def say(name: str, options: Mapping[str, str]) -> str:
    """The name that asks for these options."""
    text = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{name}@{text}" if text else name


def from_table(
    frame: Any,
    *,
    label: str | None = None,
    standardize: str = "zscore",
    drop: Sequence[str] = (),
    name: str = "table",
) -> dataset.Dataset:
    """The Dataset of a pandas DataFrame, or of {split: DataFrame}.

    A column ``split`` says which rows are train, valid and test; else splits are made
    (``dataset.partition``). Columns that are all numbers, booleans, or strings of few
    different values are x; the index, and columns that count or name rows, are left
    out, which ``notes`` say. Categories are those of the training split. NaN, None and
    empty cells are missing: NaN in x.

    Args:
      label: column of classes.
      standardize: numbers as z-scores, by mean and deviation of the training split; as
        normal scores of its ``quantile``s; or ``none``. ``as_given`` goes back.
      drop: columns to leave out.

    Raises:
      InputError: with table, column and row: no such column, two of one name, columns
        without a value, dates, categories that training rows lack, unknown splits.
    """

    def ask(key: str, value: str) -> str:
        return f"from_table(…, {key}={[*drop, value]!r})"

    parts = dataset.parts(name, frame)
    short = "from_table(…) without label"
    return _build(name, parts, label, standardize, drop, ask, short)


def _build(
    name: str,
    parts: Frames,
    label: str | None = None,
    standardize: str = "zscore",
    drop: Sequence[str] = (),
    ask: columns.Ask = str,
    short: str = "",
) -> dataset.Dataset:
    how = standard.check(name, standardize)
    frame, notes = _frame(name, parts)
    names = list(frame.columns)
    for column in (*drop, *([label] if label else [])):
        if column not in names:
            raise config.unknown(f"column of '{name}'", column, names)
    whole, split = splits(name, frame, parts, ask)
    if split:
        notes.append(f"splits are those of its column '{split}'")
    left = {*drop, label, split}
    kept, values, more = _columns(
        name, frame[[n for n in names if n not in left]], whole["train"], ask
    )
    dataset.check_memory(name, 8 * len(frame) * sum(c.width for c in kept))
    x = encoding.encoded(kept, values, functools.partial(_unseen, name, whole, ask))
    places = np.array([c.start for c in kept if c.kind == "number"], int)
    made = standard.fit(x[whole["train"]], places, how)
    notes += [*more, *_notes(x, whole["train"], kept, how)]
    fields = {"x": ("x", np.float32(made.forward(x) if made else x))}
    if label:
        fields["y"] = label, columns.label(name, label, frame[label], short)
    elif hint := [c.name for c in kept if c.name.lower() in _LABELS]:
        with contextlib.suppress(config.InputError):  # it cannot be one
            columns.label(name, hint[0], frame[hint[0]], short)
            notes.append(
                f"'{hint[0]}' is a column as others are; label={hint[0]} would make it "
                "the label"
            )
    data = arrays.build(
        name,
        {
            s: {field: (called, a[rows]) for field, (called, a) in fields.items()}
            for s, rows in whole.items()
        },
    )
    whole = {s: ("train", rows) for s, rows in whole.items()}
    return data._replace(
        likelihood=_likelihood({c.kind for c in kept}),
        rows=whole if len(parts) == 1 else data.rows,
        notes=tuple(notes),
        columns=kept,
        standard=made,
    )


def _likelihood(kinds: set[str]) -> str:
    plain = {"number": "gaussian", "boolean": "bernoulli"}
    return plain.get("".join(kinds), "mixed")


def _frame(name: str, parts: Frames) -> tuple[Any, list[str]]:
    """All splits' rows in one frame of checked names, and notes."""
    import pandas as pd

    notes = []
    for split, frame in parts.items():
        if not isinstance(frame, pd.DataFrame):
            raise config.InputError(
                f"{split} of '{name}' is a {type(frame).__name__}; give a DataFrame"
            )
        frames.check_names(name, [str(column) for column in frame.columns])
        if frame.index.name is not None or frame.index.dtype.kind not in "iu":
            notes = [f"its index '{frame.index.name or ''}' is left out"]
    tables = [
        frame.set_axis(map(str, frame.columns), axis=1) for frame in parts.values()
    ]
    if len({tuple(sorted(table.columns)) for table in tables}) > 1:
        raise config.InputError(f"the splits of '{name}' must have the same columns")
    whole = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    if not whole.size:
        raise config.InputError(
            f"'{name}' has {len(whole.columns)} columns and no rows; examples are rows"
        )
    return whole.reset_index(drop=True), notes


def splits(
    name: str, frame: Any, parts: Frames, ask: columns.Ask
) -> tuple[dict[str, np.ndarray], str | None]:
    """{split: its rows}, all three, and the column that says so."""
    column = next((n for n in frame.columns if n.lower() == "split"), None)
    if column is None or len(parts) > 1:
        words = np.repeat(list(parts), [len(part) for part in parts.values()])
        column = None
    else:
        words = [dataset.ALIASES.get(str(v).strip().lower()) for v in frame[column]]
        if None in words:
            row = words.index(None)
            raise config.InputError(
                f"column '{column}' of '{name}' is {str(frame[column][row])[:99]!r} in "
                f"row {row + 1}; splits are {', '.join(dataset.SPLITS)}; write one of "
                f"them there, or leave the column out: {ask('drop', column)}"
            )
    rows = {s: np.flatnonzero(np.asarray(words) == s) for s in dataset.SPLITS}
    counts = {s: len(r) for s, r in rows.items() if len(r) or s == "train"}
    parted = dataset.partition(name, counts)
    return {s: rows[origin][picks] for s, (origin, picks) in parted.items()}, column


def _columns(
    name: str, frame: Any, train: np.ndarray, ask: columns.Ask
) -> tuple[tuple[columns.Column, ...], dict[str, np.ndarray], list[str]]:
    """The columns that x has, {name: values (N,)}, and notes on those left out."""
    import pandas as pd

    kept, values, left, start = [], {}, [], 0
    for column in frame.columns:
        kind, cells = columns.examine(name, column, frame[column], ask)
        if kind == "index":
            left.append(column)
            continue
        values[column] = cells
        observed = pd.notna(cells[train])
        if not observed.any():
            raise config.InputError(
                f"column '{column}' of '{name}' has no value in any of the "
                f"{len(train):,} rows of train; fill it, or leave it out: "
                f"{ask('drop', column)}"
            )
        known = ()
        if kind == "category":
            known = tuple(sorted(set(cells[train][observed])))
        kept.append(columns.Column(column, kind, start, known))
        start += kept[-1].width
    if not kept:
        raise config.InputError(
            f"'{name}' has no column left to train on; {config.listed(left)} count or "
            "name rows"
        )
    note = f"{config.listed(left)} counts or names rows and is left out"
    return tuple(kept), values, [note] * bool(left)


def _unseen(
    name: str,
    whole: Mapping[str, np.ndarray],
    ask: columns.Ask,
    column: columns.Column,
    given: np.ndarray,
    other: np.ndarray,
) -> None:
    for split, rows in whole.items():
        for row in rows[other[rows]][:1]:
            raise config.InputError(
                f"column '{column.name}' of '{name}' is "
                f"'{config.listed([given[row]])}' in row {row + 1}, of {split}, "
                "and in no row of train; write a known category there "
                f"({config.listed(column.values, 5)}), or nothing, move it to train by "
                f"a column split, or leave it out: {ask('drop', column.name)}"
            )


def _missing(x: np.ndarray, kept: Sequence[columns.Column]) -> list[str]:
    """A sentence on what is missing, if anything is."""
    empty = np.isnan(x[:, [c.start for c in kept]])
    if not empty.any():
        return []
    some = empty.any(0).sum()
    note = (
        f"{empty.sum():,} values are missing ({empty.mean():.1%}), in {some} of "
        f"{len(kept)} columns: models are shown which, and they count nowhere"
    )
    if (lost := empty.all(1).sum()) > 0:
        note += f"; {lost:,} rows have no value at all"
    return [note]


def _notes(
    x: np.ndarray, rows: np.ndarray, kept: Sequence[columns.Column], how: str
) -> list[str]:
    """What x is, which columns are constant in train, whose rows these are, what is
    missing, and whether x is far from unit scale."""
    train = x[rows]
    kinds = [c.kind for c in kept]
    counts = [f"{kinds.count(k)} {k}" for k in dict.fromkeys(kinds)]
    notes = [f"{len(kept)} columns make x of {train.shape[1]}: {', '.join(counts)}"]
    if "number" in kinds:
        notes[0] += f"; standardize={how}: {standard.WAYS[how]}"

    def constant(column: columns.Column) -> bool:
        some = train[:, column.start]
        return len(column.values) == 1 or (
            not column.values and np.nanmin(some) == np.nanmax(some)
        )

    if same := [c.name for c in kept if constant(c)]:
        notes.append(f"constant in train, and kept: {config.listed(same, 20)}")
    notes += _missing(x, kept)
    if how == "none" and (words := standard.far(train)):
        notes.append(f"{words}; standardize=zscore is the cure")
    return notes
