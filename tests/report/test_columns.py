"""How columns come back: each number of the page's table by hand."""

import numpy as np
import pytest

from aejax import data
from aejax.report import columns
from tests.data.test_tables import MIXED

TABLE = MIXED[["age", "smoker", "city"]]


def test_errors_are_in_the_table_s_units():
    d = data.from_table(TABLE)
    x = d.test.x.copy()
    back = x.copy()
    back[:, 0] += 0.5
    back[0, 1] = 1 - x[0, 1]
    back[:3, 2:] = np.roll(x[:3, 2:], 1, 1)
    x[-1, 0] = np.nan
    age, smoker, city = columns.errors(d, x, back)
    seen = TABLE["age"].iloc[d.rows["test"][1][:-1]]
    spread = float(d.standard.spread[0])
    assert age["n"] == len(seen) and age["mse"] == pytest.approx(0.25)
    assert age["rmse"] == pytest.approx(0.5 * spread, rel=1e-5)
    want = 1 - 0.25 / (seen.var(ddof=0) / spread**2)
    assert age["explained"] == pytest.approx(want, rel=1e-4)
    assert age["error rate"] is None and smoker["rmse"] is None
    n = len(x)
    assert smoker["error rate"] == pytest.approx(1 / n)
    assert city["error rate"] == pytest.approx(3 / n)
    counts = TABLE["city"].iloc[d.rows["test"][1]].value_counts()
    assert city["most frequent"] == pytest.approx(1 - counts.max() / n)
    assert city["explained"] == pytest.approx(1 - 3 / n / city["most frequent"])


def test_examples_have_what_is_missing():
    d = data.from_table(TABLE)
    x = d.test.x[:2].copy()
    x[0, 0] = x[1, 1] = x[1, 2:] = np.nan
    cells = columns._examples(d, x, d.test.x[:2])
    assert list(cells.columns) == ["column", "row 1", "back 1", "row 2", "back 2"]
    row = TABLE.iloc[d.rows["test"][1][0]]
    assert cells.rows[0][1] == "–" and cells.rows[0][2].startswith(str(row["age"])[:3])
    assert cells.rows[1][1] == str(row["smoker"]) and cells.rows[1][3] == "–"
    assert cells.rows[2][1] == row["city"] and cells.rows[2][3] == "–"
