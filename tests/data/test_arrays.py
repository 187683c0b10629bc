"""Own arrays: splits, labels, lengths, factors, and what is no array of data."""

import numpy as np
import pytest

from aejax import config, data
from tests.data.common import SPLITS, same


def test_only_x_is_shuffled_and_split(places):
    x = np.arange(100, dtype=np.float64)[:, None] / 50
    y = np.repeat(["b", "a"], 50)
    np.savez(places / "own.npz", x=x, y=y, other=np.array([object()]))
    d = data.load(str(places / "own.npz"))
    assert [len(getattr(d, s).x) for s in SPLITS] == [80, 10, 10]
    rows = np.concatenate([getattr(d, s).x[:, 0] for s in SPLITS])
    assert rows.dtype == np.float32 and sorted(rows) == sorted(
        x[:, 0].astype(np.float32)
    )
    assert (d.likelihood, d.scale, d.num_classes) == ("gaussian", 1, 2)
    assert all(((s.x[:, 0] < 1) == (s.y == 1)).all() for s in d[1:4])  # b is 1
    assert 2 <= sum(d.valid.y) <= 8
    assert same(d, data.load(str(places / "own.npz")))
    np.save(places / "own.npy", x / 2)
    assert data.load(str(places / "own.npy")).likelihood == "bernoulli"


def test_given_splits_are_kept(places):
    x = np.random.default_rng(0).integers(0, 256, (30, 4, 4)).astype(np.uint8)
    y = np.arange(30) * 10 - 3
    arrays = {
        "x_train": x[:20],
        "x_valid": x[20:25],
        "y_train": y[:20],
        "y_valid": y[20:25],
    }
    np.savez(places / "own.npz", **arrays, x_test=x[25:], y_test=y[25:])
    d = data.load(str(places / "own.npz"))
    assert d.scale == 255 and d.likelihood == "bernoulli" and d.num_classes == 30
    np.testing.assert_array_equal(d.train.x, x[:20, :, :, None])
    assert list(d.valid.y) == list(range(20, 25)) and d.test.y.dtype == np.int32


def test_bool_and_sequences(places):
    np.save(places / "bool.npy", np.eye(20, dtype=bool))
    d = data.load(str(places / "bool.npy"))
    assert (d.train.x.dtype, d.train.x.max(), d.scale) == (np.uint8, 1, 1)
    length = np.arange(20) % 5 + 1
    x = np.arange(20.0)[:, None, None] + np.zeros((20, 5, 2))
    np.savez(places / "seq.npz", x=x, length=length)
    d = data.load(str(places / "seq.npz"))
    assert d.train.x.shape == (16, 5, 2)
    np.testing.assert_array_equal(d.train.length, d.train.x[:, 0, 0] % 5 + 1)


@pytest.mark.parametrize("given", [(), ("valid",), ("valid", "test")])
def test_factors_follow_their_rows(places, given):
    """x of every row is made of its factors, so any other order is seen."""
    v = np.random.default_rng(0).integers(0, 7, (600, 3)).astype(np.int16)
    mix = np.float32([[1, 0.1], [10, 0], [0, 5]])
    arrays = {"x": v @ mix, "y": v[:, 0] // 2, "factors": v}
    if given:
        cuts = zip(("train", *given), np.array_split(np.arange(600), 3), strict=False)
        parts = {s: {n: a[chosen] for n, a in arrays.items()} for s, chosen in cuts}
        arrays = {f"{n}_{s}": a for s, part in parts.items() for n, a in part.items()}
    np.savez(places / "own.npz", **arrays)
    whole = str(places / "own.npz")
    for name in (whole, f"{whole}:0,3"):
        d = data.load(name)
        for s in SPLITS:
            part, known = getattr(d, s), d.factors[s]
            np.testing.assert_allclose(part.x, known @ mix, rtol=1e-6)
            np.testing.assert_array_equal(part.y, known[:, 0] // 2)
        assert data.factor_names(name) == ("factor 0", "factor 1", "factor 2")
    assert set(d.train.y) == {0, 3} and len(set(d.test.y)) == 4
    np.savez(places / "own.npz", **arrays, factor_names=["a", "b", "c"])
    assert data.load(whole).factor_names == ("a", "b", "c")


F = np.ones((20, 3), np.float32)
V = np.arange(60).reshape(20, 3)
HOLE = np.where(np.arange(60).reshape(20, 3) == 7, np.inf, F)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": HOLE}, r"x of .* has 1 entries .*index \(2, 1\)"),
        ({"x_train": F, "x_test": HOLE * np.inf}, "x_test of .* has 60 entries"),
        (
            {"x": np.where(V % 3 == 1, np.nan, F)},
            "column 1 of x .* is NaN in every row",
        ),
        ({"x": np.where(V[..., None] == 7, np.nan, 1.0)}, r"index \(2, 1, 0\)"),
        ({"x": np.array([object()])}, "pickled objects"),
        ({"x": np.ones((0, 3))}, r"shape \(0, 3\)"),
        ({"x": np.ones(5)}, r"shape \(5,\)"),
        ({"x": np.ones((2, 2, 2, 2, 2))}, "must be"),
        ({"x": F, "y": np.arange(19)}, r"y of .* has shape \(19,\) but x has 20 rows"),
        ({"x": F, "y": np.arange(20.0)}, "labels are whole numbers or strings"),
        ({"x_train": F, "x_test": F[:, :2]}, r"alike.*\(3,\).*\(2,\)"),
        ({"x_train": F, "x_test": F, "y_train": np.arange(20)}, "alike"),
        ({"x_train": F, "x_test": F > 0}, "alike"),
        ({"x": F, "x_test": F}, "either x or x_train"),
        ({"x_test": F}, "either x or x_train"),
        ({"a": F, "b": F}, "it holds: a, b"),
        ({"x": np.full((20, 3), 9)}, "dtype int64; .*grey levels from 0 to 255"),
        ({"x": np.full((20, 3), -9j)}, r"complex128; .*save x.astype\(np.float32\)"),
        ({"x": np.eye(20, dtype=np.uint8)}, r"astype\(bool\)"),
        ({"x": np.ones((20, 4, 2)), "length": np.arange(20)}, "runs from 0 to 19"),
        ({"x": F[:2]}, "too few"),
        ({"x": F, "factors": F}, r"factors of .*float32; it must be \(20, F\)"),
        ({"x": F, "factors": V[:, 0]}, r"has shape \(20,\) and dtype int64"),
        ({"x": F, "factors": V[:9]}, r"has shape \(9, 3\)"),
        ({"x": F, "factors": V[:, :0]}, r"has shape \(20, 0\)"),
        (
            {"x_train": F, "x_test": F, "factors_train": V},
            "and factors for all or none",
        ),
        ({"x": F, "factors": V, "factor_names": ["a", "b"]}, r"names shape \(2,\)"),
        ({"x": F, "factors": V, "factor_names": ["a", "b", "a"]}, "a name of its own"),
        ({"x": F, "factors": V, "factor_names": [1, 2, 3]}, "dtype int64; every"),
        (
            {"x_train": F, "x_test": F, "factors_train": V, "factors_test": V[:, :2]},
            "have 3, 2 columns",
        ),
    ],
)
def test_bad_arrays_are_explained(places, arrays, message):
    with np.errstate(divide="ignore", invalid="ignore"):
        np.savez(places / "own.npz", **arrays)
    with pytest.raises(config.InputError, match=message) as error:
        data.load(str(places / "own.npz"))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content", [b"", b"1,2\n3,4\n", b"PK\3\4", b"\x93NUMPY\1\0v\0{"]
)
def test_no_array_file(places, content):
    for name in ("own.npz", "own.npy"):
        (places / name).write_bytes(content)
        with pytest.raises(config.InputError, match="no readable .npy or .npz"):
            data.load(str(places / name))
    with pytest.raises(config.InputError, match="there is no file"):
        data.load(str(places / "absent.npz"))


@pytest.mark.parametrize(
    ("x", "scale", "likelihood", "message"),
    [
        (np.full((2, 3), -0.5, np.float32), 1.0, "bernoulli", "from -0.5 to -0.5"),
        (
            np.full((2, 3), 1.5, np.float32),
            1.0,
            "continuous_bernoulli",
            "--likelihood ga",
        ),
        (np.full((2, 3), 17, np.uint8), 16.0, "categorical", "to 1.0625"),
        (np.full((2, 3), 0.5, np.float32), 1.0, "categorical", "stored as float32"),
        (np.full((2, 3), 0.5, np.float32), 1.0, "gausian", "did you mean 'gaussian'"),
        (np.full((2, 3), 0.5, np.float32), 1.0, "bernoulli", None),
        (np.full((2, 3), 16, np.uint8), 16.0, "categorical", None),
        (np.full((2, 3), -9, np.float32), 1.0, "gaussian_learned", None),
        (np.full((2, 3), -9, np.float32), 1.0, "auto", None),
    ],
)
def test_check_likelihood(x, scale, likelihood, message):
    split = data.Split(x)
    d = data.Dataset("own", split, split, split, "gaussian", scale)
    if message is None:
        return data.check_likelihood(d, likelihood)
    with pytest.raises(config.InputError, match=message):
        data.check_likelihood(d, likelihood)
