"""Values that are missing: in tables and arrays, hidden on purpose, filled."""

import numpy as np
import pandas as pd
import pytest

from aejax import data
from tests.data.common import SPLITS, refused
from tests.data.test_tables import MIXED, edited, whole

TABLE = MIXED.drop(columns=["id", "kind", "same"])
AWAY = np.random.default_rng(3).random(TABLE.shape) < 0.2
HOLES = TABLE.astype(object).mask(AWAY)


def test_empty_cells_are_nan_and_the_rest_stays(places):
    HOLES.to_csv("t.csv", index=False)
    d, full = data.load("t.csv@standardize=none"), data.from_table(TABLE)
    assert [c[:3] for c in d.columns] == [c[:3] for c in full.columns]
    assert d.likelihood == "mixed"
    order = np.concatenate([d.rows[s][1] for s in SPLITS])
    x = whole(d)[np.argsort(order)]
    for i, column in enumerate(d.columns):
        some = x[:, column.start : column.start + column.width]
        assert (np.isnan(some) == AWAY[:, [i]]).all()
        seen = some[~AWAY[:, i]]
        given = TABLE[column.name][~AWAY[:, i]]
        if column.kind == "category":
            words = np.array(column.values)[seen.argmax(1)]
            assert (seen.sum(1) == 1).all() and list(words) == list(given)
        else:
            np.testing.assert_allclose(seen[:, 0], given.astype(float), rtol=1e-6)
    note = next(note for note in d.notes if "missing" in note)
    assert f"{AWAY.sum()} values" in note and "in 4 of 4 columns" in note


def test_units_are_those_of_what_is_observed(places):
    HOLES.to_csv("t.csv", index=False)
    d = data.load("t.csv")
    rows = d.rows["train"][1]
    ages = HOLES["age"].iloc[rows].dropna().astype(float)
    assert d.standard.center[0] == pytest.approx(ages.mean())
    assert np.nanmean(d.train.x[:, 0]) == pytest.approx(0, abs=1e-6)
    assert np.nanstd(d.train.x[:, 0]) == pytest.approx(1, abs=1e-6)


def test_a_frame_is_encoded_as_its_table_was(places):
    HOLES.to_csv("t.csv", index=False)
    d = data.load("t.csv")
    for split in SPLITS:
        frame = HOLES.iloc[d.rows[split][1]]
        np.testing.assert_allclose(
            data.encoded(d, frame), getattr(d, split).x, rtol=1e-5, atol=1e-6
        )
    shuffled = HOLES[["city", "smoker", "age", "income"]].iloc[:5].assign(more=1)
    np.testing.assert_array_equal(
        data.encoded(d, shuffled), data.encoded(d, HOLES.iloc[:5])
    )
    text = HOLES.iloc[:9].astype(object).map(lambda v: v if pd.isna(v) else str(v))
    np.testing.assert_allclose(data.encoded(d, text), data.encoded(d, HOLES.iloc[:9]))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (TABLE.drop(columns="age"), "column of 'x' 'age' is unknown"),
        (edited("city", 3, "Graz"), "'city' of 'x' is 'Graz' in row 4.*Bern, Rom, Ulm"),
        (edited("smoker", 2, 7), "'smoker' of 'x' is '7' in row 3.* a boolean"),
        (edited("age", 1, "old"), "'age' of 'x' is 'old' in row 2.* a number"),
        (edited("age", 1, np.inf), "'age' of 'x' is 'inf' in row 2"),
    ],
)
def test_other_frames_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        data.encoded(data.from_table(TABLE), frame, "x")


def test_columns_without_a_value_are_refused(places):
    rows = data.from_table(TABLE).rows["train"][1]
    lost = TABLE.assign(age=TABLE["age"].where(~np.isin(np.arange(100), rows)))
    lost.to_csv("t.csv", index=False)
    refused(
        "t.csv", "column 'age' of 't.csv' has no value in any .* of train.*drop=age"
    )
    TABLE.assign(city=np.nan).to_csv("t.csv", index=False)
    refused("t.csv", "column 'city' of 't.csv' has no value in any row")
    labelled = MIXED.assign(kind=MIXED["kind"].mask(np.arange(100) == 5))
    labelled.to_csv("t.csv", index=False)
    refused(
        "t.csv:kind", "label column 'kind' .* has 1 missing values, the first in row 6"
    )
    TABLE.mask(np.arange(100)[:, None] == np.full(4, 9)[None]).to_csv(
        "t.csv", index=False
    )
    assert any("1 rows have no value at all" in n for n in data.load("t.csv").notes)


def test_hide_takes_train_and_valid_at_random(places):
    TABLE.to_csv("t.csv", index=False)
    full, d = data.load("t.csv"), data.load("t.csv@hide=0.3")
    assert d.standard.center.tolist() == full.standard.center.tolist()
    np.testing.assert_array_equal(d.test.x, full.test.x)
    for split in ("train", "valid"):
        x, want = getattr(d, split).x, getattr(full, split).x
        away = np.isnan(x)
        np.testing.assert_array_equal(x[~away], want[~away])
        city = away[:, [c.start for c in d.columns if c.name == "city"][0] :]
        assert (city == city[:, :1]).all(), "a category is hidden as a whole"
    share = np.isnan(d.train.x[:, :3]).mean()
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 240)
    np.testing.assert_array_equal(d.train.x, data.load("t.csv@hide=0.3").train.x)
    refused("t.csv@hide=2", "hide of .* is 2; it is a share")
    refused("t.csv@hide=0.999", "leaves position .* without a value")
    np.save("i.npy", np.zeros((30, 5, 5), np.uint8) + 9)
    refused("i.npy@scale=9,hide=0.1", "hide=0.1 is for numbers")


def test_nan_in_arrays_is_missing_and_standardized(places):
    x = np.random.default_rng(0).normal(500, 20, (100, 3))
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    np.save("x.npy", x)
    d = data.load("x.npy@standardize=zscore")
    assert d.standard is not None and d.likelihood == "gaussian"
    assert abs(np.nanmean(d.train.x)) < 1e-5
    np.testing.assert_allclose(np.nanstd(d.train.x, 0), 1, rtol=1e-5)
    rows = d.rows["test"][1]
    np.testing.assert_allclose(d.standard.inverse(d.test.x), x[rows], rtol=1e-5)
    plain = data.load("x.npy")
    assert any("far from unit scale" in note for note in plain.notes)
    assert any("taken as missing" in note for note in plain.notes)
    filled = data.filled(plain)
    np.testing.assert_allclose(
        filled.test.x,
        np.where(np.isnan(x[rows]), np.nanmean(x[d.rows["train"][1]], 0), x[rows]),
        rtol=1e-6,
    )
    np.save("i.npy", np.zeros((30, 5, 5), np.uint8) + 9)
    refused("i.npy@scale=9,standardize=zscore", "standardize=zscore is for numbers")


def test_another_file_is_read_in_known_units(places):
    """What a model trained on one table is applied to."""
    TABLE.iloc[:60].to_csv("a.csv", index=False)
    other = TABLE.iloc[60:].assign(kind=MIXED["kind"], note="x")
    other[["note", *TABLE.columns[::-1], "kind"]].to_csv("b.csv", index=False)
    known = data.load("a.csv@standardize=quantile")
    d = data.load("b.csv:kind", like=known)
    assert d.columns == known.columns and d.labels == ("a", "b")
    assert sum(len(getattr(d, s).x) for s in SPLITS) == 40
    for split in SPLITS:
        frame = TABLE.iloc[60:].iloc[d.rows[split][1]]
        want = data.encoded(known, frame)
        np.testing.assert_allclose(getattr(d, split).x, want, rtol=1e-5, atol=1e-6)
    other.assign(city="Graz").to_csv("c.csv", index=False)
    with pytest.raises(ValueError, match="'city' of 'c.csv' is 'Graz' in row 1"):
        data.load("c.csv", like=known)
    with pytest.raises(ValueError, match="column of 'b.csv' 'sort' is unknown"):
        data.load("b.csv:sort", like=known)
    x = np.random.default_rng(0).normal(50, 9, (60, 3))
    np.save("x.npy", x)
    np.save("y.npy", x + 7)
    known = data.load("x.npy@standardize=zscore")
    for name in ("y.npy", "y.npy@standardize=zscore"):
        d = data.load(name, like=known)
        got = d.standard.inverse(d.test.x)
        np.testing.assert_allclose(got, x[d.rows["test"][1]] + 7, rtol=1e-4)
        assert abs(d.train.x.mean() - 7 / 9) < 0.2


def test_files_of_another_kind_are_refused(places):
    TABLE.assign(split=["train"] * 80 + ["test"] * 20).to_csv("t.csv", index=False)
    known = data.load("t.csv")
    again = data.load("t.csv@hide=0.5", like=known)
    for split in SPLITS:
        assert (again.rows[split][1] == known.rows[split][1]).all(), "its own splits"
    assert 0.4 < np.isnan(again.train.x).mean() < 0.6
    nullable = TABLE.convert_dtypes()
    np.testing.assert_array_equal(
        data.encoded(known, nullable), data.encoded(known, TABLE)
    )
    np.save("x.npy", np.random.default_rng(0).normal(size=(30, 4)))
    for name in ("x.npy", "digits"):
        with pytest.raises(ValueError, match=r"this model takes \(6,\), in the units"):
            data.load(name, like=known)
    with pytest.raises(ValueError, match=r"x has shape \(2, 3\); rows of .* are 6"):
        data.as_given(known, np.zeros((2, 3)))
    dated = TABLE.assign(age=pd.Timestamp("2024-01-02"))
    with pytest.raises(ValueError, match="'age' of 'x' is '2024-01-02 .* a number"):
        data.encoded(known, dated, "x")


def test_a_hole_makes_no_feature_of_an_id(places):
    some = MIXED["id"].where(np.arange(100) != 40)
    MIXED.assign(id=some).to_csv("t.csv", index=False)
    assert "id" not in [c.name for c in data.load("t.csv").columns]
