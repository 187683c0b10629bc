"""Numbers of all kinds: what they mean is plain, or has to be said."""

import ml_dtypes
import numpy as np
import pytest
from scipy import sparse

from aejax import data, machine
from tests.data.common import SPLITS, refused

RNG = np.random.default_rng(0)
LEVELS = RNG.permutation(np.arange(1200) % 256).reshape(100, 12)


def whole(d, field="x"):
    """All rows, sorted: splits are made after a shuffle."""
    rows = np.concatenate([getattr(getattr(d, s), field) for s in SPLITS])
    return rows[np.lexsort(rows.reshape(len(rows), -1).T)]


def ordered(x):
    return x[np.lexsort(x.reshape(len(x), -1).T)]


INTEGERS = "i1 <i2 >i2 <i4 >i4 <i8 >i8 <u2 >u2 <u4 >u8".split()


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_integers_mean_what_they_are(places, kind, order):
    """Oracle: the numbers themselves, by way of Python's integers."""
    signed, small = np.dtype(kind).kind == "i", np.dtype(kind).itemsize == 1
    cases = {"bit": (LEVELS % 2, bool, 1.0)}
    if not small:
        cases["level"] = LEVELS, np.uint8, 255.0
        cases["number"] = LEVELS * 2, np.float32, 1.0
    if signed:
        cases["signed"] = LEVELS // 3 - 60, np.float32, 1.0
    for word, (x, stored, scale) in cases.items():
        np.save("own.npy", np.asarray(x, kind, order=order))
        d = data.load("own.npy")
        assert d.train.x.dtype == (np.uint8 if stored is bool else stored), word
        assert d.scale == scale and sum("taken as" in note for note in d.notes) == 1
        want = [[float(v) for v in row] for row in ordered(x).tolist()]
        assert whole(d).tolist() == want, word
        assert d.likelihood == ("bernoulli" if word in ("bit", "level") else "gaussian")


def test_floats_of_all_kinds_are_float32(places):
    x = ordered(RNG.normal(size=(100, 6)).astype(np.float32))
    for kind in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g"):
        np.save("own.npy", np.asfortranarray(x.astype(kind)))
        d = data.load("own.npy")
        assert d.train.x.dtype == np.float32 and d.train.x.flags.c_contiguous
        assert d.notes == () and d.train.x.dtype.isnative
        np.testing.assert_array_equal(whole(d), ordered(np.float32(x.astype(kind))))
    half = x.astype(ml_dtypes.bfloat16)
    np.save("own.npy", half)  # NumPy loads it as two bytes of no type
    d = data.load("own.npy")
    np.testing.assert_array_equal(whole(d), ordered(half.astype(np.float32)))
    assert "bfloat16" in d.notes[0]
    np.testing.assert_array_equal(whole(data.from_source(half)), whole(d))
    np.save("own.npy", x.astype(ml_dtypes.float8_e5m2))  # one byte may be any of eight
    refused("own.npy", "no readable .npy")


def test_what_integers_mean_is_asked(places):
    x = LEVELS % 17
    np.savez("own.npz", x=x.reshape(100, 3, 4), y=LEVELS[:, 0] % 2)
    message = refused(
        "own.npz", "int64; it runs from 0 to 16.*grey levels from 0 to 255"
    )
    for top, kind, scale in ((255, "uint8", 255), (16, "uint8", 16), (1, "float32", 1)):
        assert f"--dataset 'own.npz@scale={top}' if" in message
        d = data.load(f"own.npz@scale={top}")
        assert (d.train.x.dtype, d.scale) == (kind, scale)
        assert d.name == f"own.npz@scale={top}" and d.num_classes == 2
        np.testing.assert_allclose(
            whole(d).reshape(100, -1) / d.scale, ordered(x / top), rtol=1e-6
        )
        assert set(data.load(f"{d.name}:1").train.y) == {1}
    np.save("deep.npy", (LEVELS * 257).astype(np.uint16).reshape(100, 3, 4))
    assert "scale=65535' if it is levels" in refused("deep.npy", "dtype uint16")
    d = data.load("deep.npy@scale=65535")
    assert (d.train.x.dtype, d.scale, d.likelihood) == ("float32", 1, "bernoulli")
    np.testing.assert_allclose(whole(d).reshape(100, -1), ordered(LEVELS / 255), 1e-6)


def test_floats_are_rescaled_if_that_is_asked(places):
    np.save("own.npy", LEVELS.astype(np.float16))
    d = data.load("own.npy@scale=255")
    assert (d.likelihood, d.scale, d.train.x.max()) == ("bernoulli", 1, 1)
    assert data.load("own.npy").train.x.max() == 255
    np.save("dark.npy", LEVELS.astype(np.uint8) // 255)
    refused("dark.npy", "or say --dataset 'dark.npy@scale=255'")
    assert data.load("dark.npy@scale=255").train.x.max() == 1


@pytest.mark.parametrize("ask", ["scale", "scale=", "scale=0", "scale=-1", "scale=nan"])
def test_scales_that_are_none_are_refused(places, ask):
    np.save("own.npy", LEVELS / 255)
    assert "scale" in refused(f"own.npy@{ask}", "own.npy")


def test_other_asks_are_refused_with_what_is_taken(places):
    np.save("own.npy", LEVELS / 255)
    refused("own.npy@size=8", "'size=8' cannot be asked of 'own.npy': what can")
    (places / "own.txt").write_text("ab\n" * 20)
    refused("own.txt@scale=8", "nothing can be")
    (places / "a@scale=2").mkdir()
    np.save("a@scale=2/b@c.npy", LEVELS / 255)
    assert data.load("a@scale=2/b@c.npy").train.x.shape == (80, 12)
    refused("digits@scale=2", "'digits@scale=2' is unknown")


def test_splits_are_understood_together(places):
    """One split alone would be something else: bits, or levels below 255."""
    x = np.arange(256).reshape(64, 4)
    np.savez("own.npz", x_train=x, x_valid=x[:1] % 2, x_test=x[:20])
    d = data.load("own.npz")
    assert {s.x.dtype.name for s in d[1:4]} == {"uint8"} and d.scale == 255
    np.savez("own.npz", x_train=x * 2, x_test=x[:20])
    assert data.load("own.npz").test.x.dtype == np.float32


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_sparse_matrices_are_tables(places, monkeypatch, form):
    matrix = sparse.random(60, 40, 0.1, format=form, rng=np.random.default_rng(0))
    sparse.save_npz("own.npz", matrix)
    d = data.load("own.npz")
    want = ordered(matrix.toarray().astype(np.float32))
    np.testing.assert_array_equal(whole(d), want)
    assert f"a sparse {form} matrix 60×40" in d.notes[0]
    assert "9.6 kB as an array" in d.notes[0]
    monkeypatch.setattr(machine, "memory", lambda free: 9000)
    refused("own.npz", "takes 9.6 kB of memory.*9.0 kB are there")


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_damaged_sparse_matrices_are_refused(places, form):
    """An index beyond the matrix would be written to, wherever that is."""
    matrix = sparse.random(60, 40, 0.1, format=form, rng=np.random.default_rng(0))
    sparse.save_npz("own.npz", matrix)
    arrays = dict(np.load("own.npz"))
    for index in {"indices", "row"} & set(arrays):
        np.savez("own.npz", **arrays | {index: arrays[index] + 1000})
        refused("own.npz", "no readable .npy or .npz file of numbers")
    for wrong in (np.array(["a", "b"]), np.array([60, 40, 3]), np.array([-60, 40])):
        np.savez("own.npz", **arrays | {"shape": wrong})
        refused("own.npz", "no readable .npy or .npz|must be")
