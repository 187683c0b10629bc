"""Classes chosen by their labels: dataset:class."""

import numpy as np
import pytest

from aejax import data
from aejax.report import canvas
from tests.data.common import F, draw_all, greys, refused


def labelled(y):
    """x of every row is the position of its label in sorted order."""
    y = np.asarray(y)
    return {"x": np.unique(y, return_inverse=True)[1][:, None] / 10.0, "y": y}


@pytest.mark.parametrize(
    ("labels", "text", "want"),
    [
        ([1, 2, 3], "1", [0]),
        ([1, 2, 3], "2-3", [1, 2]),
        ([0, 1, 3], "3", [2]),
        ([0, 1, 3], "0-2", [0, 1]),
        ([-1, 1], "-1", [0]),
        ([-7, -2, 1], "-7--2", [0, 1]),
        ([3, 10, 2**40], "4-99999999999999", [1, 2]),
        (["bad", "good"], "good", [1]),
        (["1", "10", "2", "good"], "1,good", [0, 3]),
        (["1", "10", "2", "good"], "0-2", [0, 2]),
        (["001", "002"], "2", [1]),
        (["a,b", "c", "d:e"], "a,b", [0]),
        (["a,b", "c", "d:e"], '"a,b",c', [0, 1]),
        (["a,b", "c", "d:e"], "d:e", [2]),
        (["1-2", "1", "2"], "1-2", [1]),
        ([b"x", b"y"], "y", [1]),
        ([False, True], "1", [1]),
    ],
)
def test_classes_are_chosen_by_their_labels(places, labels, text, want):
    np.savez("own.npz", **labelled(np.repeat(labels, 40)))
    d = data.load(f"own.npz:{text}")
    for split in (d.train, d.valid):
        assert sorted(set(np.rint(10 * split.x[:, 0]))) == want == sorted(set(split.y))
    assert len(set(d.test.y)) == len(labels) == d.num_classes
    bare = [n.decode() if isinstance(n, bytes) else n for n in labels]
    known = [str(int(n) if isinstance(n, bool) else n) for n in sorted(bare)]
    assert list(d.labels) == known and d.name == f"own.npz:{text}"
    # A class's name is found again whatever is in it, and so are those of several.
    whole = data.load("own.npz")
    for ids in (want, [0, len(labels) - 1]):
        assert set(data.load(data.view(whole, ids)).train.y) == set(ids)


def test_unknown_labels_are_refused_with_the_known(places):
    np.savez("own.npz", **labelled(np.repeat([1, 2, 5], 40)))
    np.savez("many.npz", **labelled(np.repeat(np.arange(5000), 4)))
    np.save("bare.npy", F)
    for text in ("3", "good", "3-4", "1,good", "captions", "", "9" * 5000, "-", "2-1"):
        assert "labels are: 1, 2, 5" in refused(f"own.npz:{text}", "is no label")
    refused("many.npz:good", "and 4,980 more")
    refused("digits:good", "labels are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")
    refused("bare.npy:1", "has no classes to choose from")
    refused("absent.npz:1", "there is no file 'absent.npz'")
    refused("digitz:good", "'digitz' is unknown; did you mean 'digits'")
    assert set(data.load("digits:3-99999999999").train.y) == set(range(3, 10))


def test_a_path_with_a_colon_is_a_path(places):
    np.savez("a:1.npz", **labelled(np.repeat([1, 2], 40)))
    assert data.load("a:1.npz").num_classes == 2
    assert set(data.load("a:1.npz:2").train.y) == {1}
    draw_all(places / "b:good", {"x": 9, "y": 10})
    assert data.load("b:good").labels == ("x", "y")


def test_a_folder_does_not_hide_a_known_name(places):
    draw_all(places / "digits", {"a": 1})
    assert data.load("digits:3").train.x.shape[1:] == (8, 8, 1)
    assert data.load("digits:captions").train.y.ndim == 2
    refused("digits:captions:captions", "has captions already")


def test_labels_survive_the_cache_and_are_drawn(places):
    from matplotlib import figure

    draw_all(places / "own", {"cat": 1, "dog": 200}, 20)
    for _ in range(2):
        d = data.load("own")
        assert d.labels == ("cat", "dog") and data.labels(d) == {0: "cat", 1: "dog"}
        assert greys(data.load("own:dog").train) == [200]
    ax = figure.Figure().add_subplot()
    canvas.scatter(
        ax, np.random.default_rng(0).random((32, 2)), d.train.y, data.labels(d)
    )
    assert [t.get_text() for t in ax.texts] == ["cat", "dog"]
    assert data.labels(data.load("digits")) == {k: str(k) for k in range(10)}
    assert data.labels(data.load("digits:captions")) == {}


def test_a_line_end_in_a_list_of_classes_is_refused(places):
    np.savez("own.npz", x=F, y=np.arange(len(F)) % 2)
    refused("own.npz:0\n1", "is no label")
