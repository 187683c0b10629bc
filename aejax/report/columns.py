"""Tables: how well each column comes back, in its own units."""

import collections
from typing import Any

import numpy as np

from aejax import data as datasets
from aejax.report import page, pictures, words

MOST = 40  # columns that fit the page
EXAMPLES = 4  # beside each other
ROWS = 10_000  # test examples, at most


def section(lines: list[pictures.Shown]) -> page.Section | None:
    """A table of columns for the model of lowest error of each line, and some test
    examples as the first one gives them back."""
    tables, examples = [], []
    for line in (one for one in lines if pictures.is_table(one.data)):
        _, setting, model = min(
            line.models, key=lambda m: m[1].error[0] if m[1].error else np.inf
        )
        step = -(-len(line.data.test.x) // ROWS)
        x, y, _ = pictures.some(line.data.test, line.data, slice(None, None, step))
        rows = errors(line.data, x, model.reconstruct(x, y))
        title = f"{line.line.label}, {words.describe('latent_dim', setting.axes)}"
        worst = [r["explained"] if r.get("explained") else 0.0 for r in rows]
        picks = np.sort(np.argsort(worst, kind="stable")[:MOST])
        tables.append(page.Cells(*words.cells([rows[i] for i in picks]), title))
        if not examples:
            some = line.x[:EXAMPLES], line.y if line.y is None else line.y[:EXAMPLES]
            cells = _examples(line.data, some[0], model.reconstruct(*some))
            title = f"{title}: test examples, and what came back"
            examples.append(cells._replace(title=title))
    if not tables:
        return None
    text = (
        "Test examples, of the model of lowest error. Numbers: rmse in the table's own "
        "units, mse in deviations of the training split, and the share of the column's "
        "variance on test that comes back. Booleans and categories: the share that "
        "comes back wrong, that of always saying the most frequent one, and how much "
        "of the latter is avoided. Missing values count nowhere."
    )
    return page.Section("columns", "Columns", tables=[*tables, *examples], text=text)


def _examples(data: Any, x: np.ndarray, x_hat: np.ndarray) -> page.Cells:
    """x (n, D) and what came back, a column for each, in the table's own units."""
    given, back = (datasets.as_given(data, a) for a in (x, x_hat))
    names = [c.name for c in data.columns[:MOST]]
    pairs = [f[names].iloc[i] for i in range(len(x)) for f in (given, back)]
    head = [f"{word} {i + 1}" for i in range(len(x)) for word in ("row", "back")]
    rows = [[n, *(_text(values[n]) for values in pairs)] for n in names]
    return page.Cells(["column", *head], rows)


def _text(value: Any) -> str:
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    if missing or isinstance(value, (str, bool, np.bool_)):
        return "–" if missing else str(value)
    return words.measured(float(value))


def errors(data: Any, x: np.ndarray, x_hat: np.ndarray) -> list[dict[str, Any]]:
    """A row for each column of a table, of x (N, D) in data units and what came back.

    ``explained`` is 1 - error / error of the column's mean or most frequent value; None
    of what is constant.
    """
    given, back = (datasets.as_given(data, a) for a in (x, x_hat))
    rows = []
    for column in data.columns:
        known = ~np.isnan(x[:, column.start])
        truth, guess = (f[column.name].to_numpy()[known] for f in (given, back))
        row = {"column": column.name, "kind": column.kind, "n": int(known.sum())}
        row |= dict.fromkeys(("rmse", "mse", "error rate", "most frequent"))
        error, base = None, 0.0
        if known.any() and column.kind == "number":
            some, some_hat = (np.float64(a[known, column.start]) for a in (x, x_hat))
            error, base = np.square(some - some_hat).mean(), some.var()
            gap = np.float64(truth) - np.float64(guess)
            row |= {"rmse": float(np.sqrt(np.square(gap).mean())), "mse": float(error)}
        elif known.any():
            error = (truth != guess).mean()
            counts = collections.Counter(truth.tolist())
            base = 1 - max(counts.values()) / len(truth)
            row |= {"error rate": float(error), "most frequent": float(base)}
        row["explained"] = float(1 - error / base) if base else None
        rows.append(row)
    names = [n for n in rows[0] if any(row[n] is not None for row in rows)]
    return [{n: row[n] for n in names} for row in rows]
