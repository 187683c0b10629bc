"""Folders of images: splits, classes, hidden files, links."""

import os

import numpy as np
import pytest

from aejax import data
from aejax.data import paths
from tests.data.common import draw, draw_all, greys, refused


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "dev", "VAL", None])
@pytest.mark.parametrize("inner", ["", "cat"])
def test_folders_called_splits_are_the_splits(places, valid, inner):
    parts = {"train": 10, "test": 200} | ({valid: 90} if valid else {})
    draw_all(places / "own", {f"{p}/{inner}": v for p, v in parts.items()}, 20)
    d = data.load("own")
    assert [greys(s) for s in d[1:4]] == [[10], [90 if valid else 10], [200]]
    assert [len(s.x) for s in d[1:4]] == [20 if valid else 18, 20 if valid else 2, 20]
    assert d.labels == (("cat",) if inner else ()) and d.num_classes == bool(inner)


def test_anomalies_laid_out_as_mvtec_has_them(places):
    kinds = {"train/good": 1, "test/good": 2, "test/broken": 3}
    draw_all(places / "bottle", kinds | {"ground_truth/broken": 255}, 20)
    d = data.load("bottle:good")
    assert d.labels == ("broken", "good") and d.num_classes == 2
    assert [greys(s) for s in d[1:4]] == [[1], [1], [2, 3]]
    assert (d.train.y == 1).all() and (
        (d.test.y == 0) == (d.test.x[:, 0, 0, 0] == 3)
    ).all()
    refused("bottle:broken", "no such class in train")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train", "test", "cat"], "cat lie beside"),
        (["train", "test", ""], "loose files lie beside"),
        (["train", "val", "valid"], "has both 'val' and 'valid'"),
        (["test"], "train is missing"),
        (["train", "test/good"], "each split, all at once or all in one sub-folder"),
        (["a", ""], "all at once or all in one sub-folder"),
        (["a/b", ""], "all at once or all in one sub-folder"),
    ],
)
def test_other_layouts_are_refused(places, parts, message):
    draw_all(places / "own", dict.fromkeys(parts, 9))
    refused("own", message)


def test_hidden_files_and_folders_are_passed_over(places):
    names = ("a", "b", ".ipynb_checkpoints", "a/.hidden")
    draw_all(places / "own", {name: i for i, name in enumerate(names)}, 10)
    draw(places / "own/a/.1.png", 77)
    d = data.load("own")
    assert d.labels == ("a", "b") and sum(len(s.x) for s in d[1:4]) == 20
    assert [f.name for f in paths.walk(places / "own/a")] == [
        f"{i}.png" for i in range(10)
    ]


def test_a_file_system_is_not_searched_for_data(places, monkeypatch):
    monkeypatch.setattr(paths, "MOST", 30)
    draw_all(places / "own/a", {"": 9})
    for i in range(40):
        (places / f"own/a/{i}.xml").touch()
    assert len(data.load("own").test.x)  # as many as three beside each are no concern
    for i in range(40):
        (places / f"own/{i}").mkdir()
    refused("own", "holds more than 30 entries that are no .png")


def test_unreadable_folders_and_circles_of_links(places, monkeypatch):
    draw_all(places / "own", {"a": 1, "b": 2}, 10)
    os.symlink("..", places / "own/a/up")
    (places / "own/secret").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(paths.os, "scandir", scandir)
    assert data.load("own").labels == ("a", "b")
    (places / "secret").mkdir()
    refused("secret", "secret cannot be read: Permission denied")


def test_training_and_testing_are_splits(places):
    draw_all(places / "folder", {"training": 50, "testing": 30})
    assert greys(data.load("folder").test) == [30]


@pytest.mark.parametrize("splits", [("",), ("train/", "test/")])
def test_classes_are_first_folders_or_paths(places, splits):
    """Depth 3, as of Omniglot: alphabet/character/drawing."""
    kinds = {"greek/alpha": 10, "greek/beta": 20, "latin/a/old": 30, "latin": 40}
    draw_all(places / "own", {s + k: v for s in splits for k, v in kinds.items()}, 20)
    d = data.load("own")
    assert d.labels == ("greek", "latin") and "labels=path" in d.notes[0]
    assert all((s.y == (s.x[:, 0, 0, 0] > 20)).all() for s in d[1:4])
    d = data.load("own@labels=path")
    assert d.labels == tuple(sorted(kinds)) and d.notes == ()
    value = [kinds[label] for label in d.labels]
    assert all((np.take(value, s.y) == s.x[:, 0, 0, 0]).all() for s in d[1:4])
    assert greys(data.load("own@labels=path:latin/a/old,greek/beta").train) == [20, 30]
