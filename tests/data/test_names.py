"""Names and values of arrays that are nearly right."""

import numpy as np
import pytest

from aejax import data
from tests.data.common import F, refused


@pytest.mark.parametrize("end", ["valid", "val", "validation", "dev"])
@pytest.mark.parametrize("y", ["y", "label", "Labels"])
def test_other_names_of_splits_and_arrays(places, end, y):
    arrays = {
        f"x_{s}": np.full((9, 5, 1), v)
        for s, v in (("train", 0.1), (end, 0.9), ("TEST", 0.5))
    }
    arrays |= {f"{y}_{s}": np.arange(9) + 4 for s in ("train", end, "test")}
    arrays |= {f"lengths_{s}": np.full(9, 2) for s in ("train", end, "test")}
    np.savez("own.npz", **arrays, mean=F, class_train=F)
    d = data.load("own.npz")
    assert [float(s.x[0, 0, 0]) for s in d[1:4]] == [*map(np.float32, (0.1, 0.9, 0.5))]
    assert all((s.length == 2).all() for s in d[1:4])
    assert d.num_classes == 9 and list(d.test.y) == list(range(9))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": F, "y_val": np.arange(20)}, "holds y_val, of no name that is read"),
        ({"x_train": F, "x_val": F, "x_dev": F}, "has both x_val and x_dev"),
        ({"x": F, "y": np.arange(20), "labels": np.arange(20)}, "both y and labels"),
        *(
            ({"x": F, n: F}, f"holds {n}, of no name")
            for n in (
                "x_extra",
                "train_x",
                "mask",
                "seq_length",
                "y_names",
                "val",
                "targets",
            )
        ),
        ({"x": F} | {f"x_{i}": F[:1] for i in range(50)}, "and 40 more, of no name"),
        ({f"a{i}": F[:1] for i in range(300)}, "and 290 more"),
        ({"a\nb" * 99: F, "c": F}, r"it holds: a\\nb"),
        ({"targets": F}, "it holds: targets"),
        ({"images": F, "images_test": F, "mask": F}, "it holds: images, images_test"),
        ({"images_test": F}, "it holds: images_test"),
        ({"latest": F, "contest": F}, "it holds: contest, latest"),
        (
            {"x_train": F, "x_test": F, "y_test": np.arange(20)},
            r"train has x and examples \(3,\) of float; test has x, y and",
        ),
    ],
)
def test_nearly_right_names_are_refused(places, arrays, message):
    np.savez("own.npz", **arrays)
    refused("own.npz", message)


SERIES = np.ones((20, 5, 1), np.float32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"length": np.full(20, 2.5)}, "length of 'own.npz' must be whole numbers"),
        ({"length": np.full(20, np.nan)}, "must be whole numbers"),
        ({"length": np.full(20, "3")}, "must be whole numbers, but it is <U1"),
        ({"length": np.full(20, 2**32 + 3)}, "runs from 4294967299"),
        ({"lengths": np.full(20, 0)}, "lengths of 'own.npz' runs from 0"),
        ({"y": np.full((20, 2), 2**31)}, "must be captions: .*below 1,048,576"),
        ({"y": np.full((20, 2), 2**40)}, "must be captions"),
        (
            {"x": np.ones((9, 3, 8, 7))},
            r"shape \(9, 3, 8, 7\).*x.transpose\(0, 2, 3, 1\)",
        ),
        ({"x": np.ones((9, 1, 131, 2))}, "channels come last"),
        ({"x": np.full((9, 4, 8, 8), 5, np.uint8)}, "channels come last"),
        ({"x": np.array([object()])}, "pickled objects"),
    ],
)
def test_bad_values_are_explained(places, arrays, message):
    np.savez("own.npz", **{"x": SERIES} | arrays)
    assert "allow_pickle" not in refused("own.npz", message)


def test_members_that_are_no_arrays_are_refused(places):
    import zipfile

    np.savez("own.npz", x=F)
    for name in ("y", "length"):
        with zipfile.ZipFile("own.npz", "a") as file:
            file.writestr(name, b"text")
        refused("own.npz", "its member y is no array")
    np.save("own.npy", np.array([{}]), allow_pickle=True)
    assert "allow_pickle" not in refused("own.npy", "pickled objects.*refused")


@pytest.mark.parametrize(
    "shape", [(9, 8, 8, 5), (9, 3, 8, 3), (9, 4, 4, 2), (9, 8, 8, 1)]
)
def test_channels_that_come_last_are_not_suspected(places, shape):
    np.save("own.npy", np.ones(shape))
    assert data.load("own.npy").train.x.shape[1:] == shape[1:]


def test_lengths_may_be_floats_and_padding_nan(places):
    length = np.arange(20) % 5 + 1
    x = np.where(np.arange(5) < length[:, None], 0.5, np.nan)[..., None]
    np.savez("own.npz", x=x, length=length.astype(float))
    d = data.load("own.npz")
    assert d.likelihood == "bernoulli" and d.train.length.dtype == np.int32
    for split in d[1:4]:
        valid = np.arange(5) < split.length[:, None]
        np.testing.assert_array_equal(split.x[..., 0], valid / np.float32(2))
    np.savez("own.npz", x=x, length=np.minimum(length + 1, 5))
    refused("own.npz", "has 16 entries that are not finite.*length of")


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "test_images", "train_labels", "test_labels"),
        ("TRAIN.DATA", "TEST.DATA", "train-y", "test-y"),
        ("train_x", "test_x", "y_train", "label_test"),
        ("Train", "TEST", "train_label", "y_test"),
        ("data.training", "data.testing", "y training", "ytesting"),
    ],
)
def test_one_array_a_split_is_x_whatever_its_name(places, names):
    x, y = np.random.default_rng(0).random((2, 20, 3)), np.arange(40).reshape(2, 20)
    arrays = dict(zip(names, (*x, *(y % 5)[..., None]), strict=True))  # y of a column
    np.savez("own.npz", **arrays)
    d = data.load("own.npz")
    np.testing.assert_array_equal(d.test.x, np.float32(x[1]))
    np.testing.assert_array_equal(d.test.y, y[1] % 5)
    assert d.notes == (f"{', '.join(sorted(names[:2]))} is taken as x",)


@pytest.mark.parametrize("word", ["arr_0", "data", "images", "Z", "a\nb"])
def test_the_only_array_is_x_whatever_its_name(places, word):
    np.savez("own.npz", **{word: F, "y": np.arange(20) % 2})
    d = data.load("own.npz")
    assert d.num_classes == 2 and d.train.x.shape == (16, 3) and len(d.notes) == 1
    np.savez("own.npz", **{word: F * 2, "x": F})  # beside an x it is nothing
    assert (d := data.load("own.npz")).train.x.max() == 1 and d.notes == ()
