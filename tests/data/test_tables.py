"""Tables of people: kinds of columns, units, splits, and refusals by row and column."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from aejax import config, data
from tests.data.common import SPLITS, draw, refused

RNG = np.random.default_rng(0)
MIXED = pd.DataFrame(
    {
        "id": np.arange(100) + 7,
        "age": RNG.normal(50, 20, 100),
        "income": RNG.lognormal(9, 1, 100),
        "smoker": RNG.random(100) < 0.4,
        "city": RNG.choice(["Rom", "Ulm", "Bern"], 100),
        "same": 5.5,
        "kind": RNG.choice(["a", "b"], 100),
    }
)


def whole(d):
    return np.concatenate([getattr(d, s).x for s in SPLITS])


@pytest.mark.parametrize("end", [".csv", ".csv.gz", ".tsv", ".parquet", ".feather"])
def test_files_of_tables_are_alike(places, end):
    write = {".parquet": MIXED.to_parquet, ".feather": MIXED.to_feather}.get(end)
    if write:
        write(f"t{end}")
    else:
        MIXED.to_csv(f"t{end}", index=False, sep="\t" if end == ".tsv" else ",")
    d, want = data.load(f"t{end}:kind"), data.from_table(MIXED, label="kind")
    assert d.name == f"t{end}:kind" and d.labels == ("a", "b")
    np.testing.assert_allclose(whole(d), whole(want), rtol=1e-6)
    names = [(c.name, c.kind, c.width) for c in d.columns]
    assert names == [
        ("age", "number", 1),
        ("income", "number", 1),
        ("smoker", "boolean", 1),
        ("city", "category", 3),
        ("same", "number", 1),
    ]
    assert any("id counts or names rows" in note for note in d.notes)
    assert any("constant in train, and kept: same" in note for note in d.notes)


@pytest.mark.parametrize("how", ["zscore", "none", "quantile"])
def test_units_come_from_train_and_go_back(places, how):
    MIXED.to_csv("t.csv", index=False)
    d = data.load(f"t.csv@standardize={how}")
    rows = np.random.default_rng(0).permutation(100)[:-20]  # as partition shuffles
    train = MIXED.iloc[rows]
    if how == "zscore":
        want = (train.age - train.age.mean()) / train.age.std(ddof=0)
        np.testing.assert_allclose(d.train.x[:, 0], want, atol=1e-6)
    if how == "quantile":  # normal scores: symmetric, whatever the column was
        assert abs(d.train.x[:, 1].mean()) < 1e-6 < d.train.x[:, 1].std()
    assert any("far from unit" in n for n in d.notes) == (how == "none")
    back = data.as_given(d, d.train.x)
    for name in ("age", "income", "same"):
        np.testing.assert_allclose(back[name], train[name], rtol=1e-5, atol=1e-4)
    assert back.city.tolist() == train.city.tolist()
    assert back.smoker.tolist() == train.smoker.tolist()


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_real_tables_load_with_labels(places, name):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.to_csv(f"{name}.csv", index=False)
    d = data.load(f"{name}.csv:target")
    assert d.num_classes == frame.target.nunique()
    assert d.train.x.shape[1] == frame.shape[1] - 1
    np.testing.assert_allclose(d.train.x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(d.train.x.std(0), 1, atol=1e-5)
    some = data.load(f"{name}.csv:target:1")  # one class of it
    assert set(some.train.y) == {1} and data.view(d, [1]) == f"{name}.csv:target:1"
    assert data.load(f"{name}.csv@label=target:1").train.x.shape == some.train.x.shape


def test_a_number_is_no_label(places):
    datasets.load_diabetes(as_frame=True).frame.to_csv("d.csv", index=False)
    refused("d.csv:target", "different numbers from 25 to 346; labels are classes")
    assert data.load("d.csv").train.x.shape[1] == 11


def test_a_column_split_makes_the_splits(places):
    words = np.repeat(["TRAIN", "dev", "test"], [50, 20, 30])
    MIXED.assign(split=words).to_csv("t.csv", index=False)
    d = data.load("t.csv")
    assert [len(s.x) for s in d[1:4]] == [50, 20, 30]
    age = data.as_given(d, d.test.x).age
    np.testing.assert_allclose(age, MIXED.age[70:], rtol=1e-5, atol=1e-4)
    parts = {"train": MIXED[:50], "val": MIXED[50:70], "test": MIXED[70:]}
    np.testing.assert_array_equal(whole(data.from_table(parts)), whole(d))
    words[3] = "spare"
    MIXED.assign(split=words).to_csv("t.csv", index=False)
    refused("t.csv", "column 'split' of 't.csv' is 'spare' in row 4")


def edited(column, row, value):
    frame = MIXED.astype({column: object})
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (MIXED.assign(a=None), "column 'a' of 't.csv' has no value in any row.*drop=a"),
        (
            MIXED.assign(d="2024-01-02"),
            "column 'd' .*dates, 2024-01-02 in row 1.*drop=d",
        ),
        (MIXED.assign(age=np.inf), "column 'age' of 't.csv' is inf in row 1"),
        (
            edited("age", 4, "old"),
            "numbers but for 1 of its 100 values, 'old' in row 5",
        ),
        (
            MIXED.assign(d=[f"w{i // 2}" for i in range(100)]).assign(
                d=lambda f: [f"w{min(i, 80)}" for i in range(100)]
            ),
            "81 different strings",
        ),
        (MIXED[["id"]], "has no column left to train on; id"),
        (MIXED[:0], "has 7 columns and no rows"),
    ],
)
def test_bad_columns_are_refused_by_row(places, frame, message):
    frame.to_csv("t.csv", index=False)
    refused("t.csv", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'t.csv' is empty"),
        ("a,b,a\n1,2,3\n", "two columns of one name, 'a' .columns 1, 3"),
        ("a,b\n1,2\n3\n", "line 3 of 't.csv' has 1 cells, '3', but .* names 2 columns"),
        ("a,b\n1,2\n3,4,5\n", "line 3 of 't.csv' has 3 cells"),
        ("a;b\n1;2\n", "one column 'a;b': its cells seem to be separated by ';'"),
        ("a,b\n1,\xe9\n", "no readable table .*utf-8"),
    ],
)
def test_files_that_are_no_tables_are_refused(places, text, message):
    (places / "t.csv").write_bytes(text.encode("latin-1"))
    refused("t.csv", message)


def test_unseen_categories_are_refused(places):
    words = np.repeat(["train", "valid", "test"], [50, 20, 30])
    edited("city", 80, "Oslo").assign(split=words).to_csv("t.csv", index=False)
    message = "column 'city' of 't.csv' is 'Oslo' in row 81, of test, and in no row of"
    refused("t.csv", message)
    assert len(data.load("t.csv@drop=city+kind").columns) == 4


def test_names_that_are_nearly_right(places):
    MIXED.to_csv("t.csv", index=False)
    refused("t.csv:kinds", "'kinds' is unknown; did you mean 'kind'")
    refused("t.csv@standardize=z", "standardize of 't.csv' 'z' is unknown")
    refused("t.csv@size=3", "cannot be asked of 't.csv': what can be is")
    refused("no.csv:kind", "there is no file 'no.csv'")
    with pytest.raises(config.InputError, match=r"from_table\(…, drop=\['d'\]\)"):
        data.from_table(MIXED.assign(d=pd.Timestamp("2024-01-01")))


def test_paths_of_images_are_a_list_and_others_a_table(places):
    for i in range(9):
        draw(places / f"{i}.png", i)
    rows = [f"{i}.png,{i}" for i in range(9)]
    (places / "t.csv").write_text("\n".join(["path,size", *rows]))
    assert data.load("t.csv").train.x.shape == (7, 4, 4, 1)
    rows = [f"{i % 2},{i % 5}" for i in range(9)]
    (places / "t.csv").write_text("\n".join(["path,size", *rows]))
    assert data.load("t.csv").train.x.shape == (7, 2)


def test_pyarrow_is_asked_for_in_words(places, monkeypatch):
    MIXED.to_parquet("t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused("t.parquet", r'pip install "aejax\[tables\]"; or save the table as .csv')
