"""Tables: .csv, .tsv, .parquet, .feather or a DataFrame as x (N, D) of float32.

Numbers in standard units, booleans as 0 and 1, categories one-hot, in the order of the
columns. ``table.csv@label=species,standardize=none,drop=name+date`` asks for more, and
``table.csv:species`` for a label alone.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aejax import config
from aejax.data import arrays, columns, dataset, frames, standard

OPTIONS = {
    "label": "COLUMN (whose values are classes)",
    "standardize": "zscore (the default), quantile or none",
    "drop": "COLUMN+COLUMN (left out)",
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

    def ask(key: str, value: str) -> str:
        more = {**options, key: "+".join([*dropped, value])}
        return f"--dataset '{say(name, more)}'"

    frame = frames.read(name, path)
    short = say(name, {k: v for k, v in options.items() if k != "label"})
    return _build(name, {"train": frame}, **given, drop=dropped, ask=ask, short=short)


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
    out, which ``notes`` say. Categories are those of the training split.

    Args:
      label: column of classes.
      standardize: numbers as z-scores, by mean and deviation of the training split; as
        normal scores of its ``quantile``s; or ``none``. ``as_given`` goes back.
      drop: columns to leave out.

    Raises:
      InputError: with table, column and row: no such column, two of one name, missing
        values, dates, categories that training rows lack, unknown splits.
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
    whole, split = _splits(name, frame, parts, ask)
    if split:
        notes.append(f"splits are those of its column '{split}'")
    left = {*drop, label, split}
    kept, values, more = _columns(
        name, frame[[n for n in names if n not in left]], whole["train"], ask
    )
    dataset.check_memory(name, 8 * len(frame) * sum(c.width for c in kept))
    x = _encoded(name, kept, values, whole, ask)
    places = np.array([c.start for c in kept if c.kind == "number"], int)
    made = standard.fit(x[whole["train"]], places, how)
    notes += [*more, *_notes(x[whole["train"]], kept, how)]
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
        likelihood="gaussian" if len(places) else "bernoulli",
        rows=whole if len(parts) == 1 else data.rows,
        notes=tuple(notes),
        columns=kept,
        standard=made,
    )


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


def _splits(
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
    kept, values, left, start = [], {}, [], 0
    for column in frame.columns:
        kind, cells = columns.examine(name, column, frame[column], ask)
        if kind == "index":
            left.append(column)
            continue
        values[column] = cells
        known = ()
        if kind == "category":
            known = tuple(sorted(set(cells[train])))
        kept.append(columns.Column(column, kind, start, known))
        start += kept[-1].width
    if not kept:
        raise config.InputError(
            f"'{name}' has no column left to train on; {config.listed(left)} count or "
            "name rows"
        )
    note = f"{config.listed(left)} counts or names rows and is left out"
    return tuple(kept), values, [note] * bool(left)


def _encoded(
    name: str,
    kept: Sequence[columns.Column],
    values: Mapping[str, np.ndarray],
    whole: Mapping[str, np.ndarray],
    ask: columns.Ask,
) -> np.ndarray:
    """x (N, D) float64, numbers as they are."""
    import pandas as pd

    x = np.zeros((len(values[kept[0].name]), sum(c.width for c in kept)))
    for column in kept:
        given = values[column.name]
        if column.kind != "category":
            x[:, column.start] = given
            continue
        ids = pd.Index(column.values).get_indexer(given)  # -1 of others
        for split, rows in whole.items():
            for row in rows[ids[rows] < 0][:1]:
                raise config.InputError(
                    f"column '{column.name}' of '{name}' is "
                    f"'{config.listed([given[row]])}' in row {row + 1}, of {split}, "
                    "and in no row of train; write a known category there "
                    f"({config.listed(column.values, 5)}), move it to train by a "
                    f"column split, or leave it out: {ask('drop', column.name)}"
                )
        x[np.arange(len(x)), column.start + ids] = 1.0
    return x


def _notes(train: np.ndarray, kept: Sequence[columns.Column], how: str) -> list[str]:
    """What x is, which columns are constant, and whether it is far from unit scale."""
    kinds = [c.kind for c in kept]
    counts = [f"{kinds.count(k)} {k}" for k in dict.fromkeys(kinds)]
    notes = [f"{len(kept)} columns make x of {train.shape[1]}: {', '.join(counts)}"]
    if "number" in kinds:
        notes[0] += f"; standardize={how}: {standard.WAYS[how]}"
    same = [
        c.name
        for c in kept
        if len(c.values) == 1 or (not c.values and not np.ptp(train[:, c.start]))
    ]
    if same:
        notes.append(f"constant in train, and kept: {config.listed(same, 20)}")
    if how == "none" and (words := standard.far(train)):
        notes.append(f"{words}; standardize=zscore is the cure")
    return notes


def as_given(data: dataset.Dataset, x: np.ndarray) -> Any:
    """x (N, D) in data units as a DataFrame in the table's own units and words.

    Numbers in the units of the table, booleans where x is 0.5 or more, of categories
    the one of the largest x. Of windows (N, T, F) of a series a row is a step.

    Raises:
      InputError: data that are no table.
    """
    import pandas as pd

    if not data.columns:
        raise config.InputError(f"data set '{data.name}' is no table")
    x = np.asarray(x, np.float64).reshape(-1, np.shape(x)[-1])
    if data.standard is not None:
        x = data.standard.inverse(x)
    frame = {}
    for column in data.columns:
        some = x[:, column.start : column.start + column.width]
        frame[column.name] = some[:, 0]
        if column.kind == "boolean":
            frame[column.name] = some[:, 0] >= 0.5
        if column.kind == "category":
            frame[column.name] = np.array(column.values, object)[some.argmax(1)]
    return pd.DataFrame(frame)
