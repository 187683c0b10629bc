"""from_source: what has a length and items, against the same arrays in a file."""

import collections

import numpy as np
import pandas as pd
import pytest

from aejax import config, data
from tests.data.common import same

X = np.random.default_rng(0).integers(0, 256, (50, 4, 4)).astype(np.uint8)
Y = np.array(["cat", "dog", "eel", "fox", "gnu"])[np.arange(50) % 5]


class Source:
    """As grain's and torch's map-style data sets: no iteration, no slices."""

    def __init__(self, item, count=50):
        self.item, self.count = item, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        if not isinstance(i, int) or not 0 <= i < self.count:
            raise IndexError(i)
        return self.item(i)


Pair = collections.namedtuple("Pair", "x y")
FORMS = {
    "pair": lambda i: (X[i], Y[i]),
    "named": lambda i: Pair(X[i], Y[i]),
    "list": lambda i: [X[i], Y[i]],
    "dict": lambda i: {"x": X[i], "y": Y[i], "id": None},
    "names": lambda i: {"image": X[i], "label": Y[i]},
}


@pytest.mark.parametrize("form", FORMS)
def test_items_are_as_an_npz_of_them(places, form):
    np.savez("own.npz", x=X, y=Y)
    want = data.load("own.npz")
    d = data.from_source(Source(FORMS[form]), name="pets")
    assert same(d, want) and d.labels == want.labels and d.name == "pets"
    assert (d.scale, d.likelihood, d.num_classes) == (255, "bernoulli", 5)
    assert d.notes == (("image is taken as x",) if form == "names" else ())


def test_bare_items_arrays_and_splits(places, tmp_path):
    np.save("own.npy", X)
    want = data.load("own.npy")
    np.lib.format.open_memmap("map.npy", "w+", X.dtype, X.shape)[:] = X
    for obj in (Source(X.__getitem__), list(X), X, np.load("map.npy", mmap_mode="r")):
        assert same(data.from_source(obj), want)
    some = Source(lambda i: None if i % 2 else X[i])  # as grain filters
    assert sum(len(s.x) for s in data.from_source(some)[1:4]) == 25
    d = data.from_source({"train": X, "val": Source(X.__getitem__, 9), "test": X[:3]})
    assert [len(s.x) for s in d[1:4]] == [50, 9, 3]
    d = data.from_source(list(X.astype(int) % 17), scale=16)
    assert d.scale == 16 and d.train.x.dtype == np.uint8
    with pytest.raises(config.InputError, match=r"from_source\(…, scale=16\)|scale=16"):
        data.from_source(X.astype(int) % 17)


def broken(i):
    raise KeyError("disk")


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (iter(X), "without a length and items"),
        (7, "is a int, without"),
        ([], "has no items"),
        (Source(lambda i: X[i][: 1 + i % 2]), r"x \(1, 4\), item 1 is x \(2, 4\)"),
        (Source(lambda i: (X[i],) if i else (X[i], 1)), "item 1 is x"),
        (Source(lambda i: (X[i], 1, 2)), "item 0 .*tuple of 3"),
        (Source(broken), "item 0 of 'source' cannot be read .*disk"),
        (Source(lambda i: {"a": X[i], "b": X[i]}), "it holds: a, b"),
        (Source(lambda i: {"x_test": X[i], "x_train": X[i]}), "name splits .test"),
        (Source(lambda i: X[i], 2), "too few"),
        (Source(lambda i: X[i], 1 << 50), "of memory"),
        ({"test": X}, "dict of test; it must be"),
        ({"train": X, "spare": X}, "dict of train, spare"),
        (Source(lambda i: np.full((2, 2), np.nan)), "not finite"),
        (Source(lambda i: "word"), "must be"),
    ],
)
def test_other_objects_are_refused_in_one_paragraph(obj, message):
    with pytest.raises(config.InputError, match=message) as error:
        data.from_source(obj)
    assert len(str(error.value).splitlines()) == 1


def test_frames_are_tables():
    frame = pd.DataFrame({"a": np.arange(40.0) ** 2, "b": ["u", "v"] * 20})
    d = data.from_source(frame)
    assert [c.kind for c in d.columns] == ["number", "category"]
    np.testing.assert_array_equal(d.train.x, data.from_table(frame).train.x)
    split = {"train": frame[:30], "test": frame[30:]}
    assert len(data.from_source(split).test.x) == 10
