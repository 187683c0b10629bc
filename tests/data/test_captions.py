"""Captions: words and ids, what sprites show."""

import numpy as np
import pytest

from aejax import config, data
from aejax.data import captions

RNG = np.random.default_rng(0)


def words(n):
    """Captions of one to four of six words."""
    y = RNG.integers(1, 7, (n, 4)).astype(np.int32)
    return np.where(np.arange(4)[None] < RNG.integers(1, 5, (n, 1)), y, 0)


def test_captions_say_what_sprites_show():
    d, y = data.load("sprites:captions"), {}
    for split in ("train", "valid", "test"):
        part = getattr(d, split)
        assert len(part.x) == len(part.y) and part.y.max() < d.num_classes
        y[split] = {tuple(row) for row in part.y}
    assert len(y["test"]) == 81 and len(y["test"] - y["train"]) == 9
    assert not (y["test"] - y["train"]) & y["valid"]
    factors, x = captions.factors(d.test.y), d.test.x[..., 0].astype(float)
    rows = (x.sum(2) @ np.arange(32)) / x.sum((1, 2))
    upper, lower = (rows[factors["row"] == i] for i in (0, 2))
    assert upper.max() < lower.min()
    mass = [x[factors["size"] == i].sum((1, 2)).mean() for i in range(3)]
    assert mass[0] < mass[1] < mass[2]


def test_words_and_ids_are_inverse():
    y = captions.tokens(["A small heart, upper left!", "an ellipse lower right"])
    assert captions.texts(y) == ["a small heart upper left", "an ellipse lower right"]
    assert y[1, -1] == 0 and {n: v[0] for n, v in captions.factors(y).items()} == {
        "size": 0,
        "shape": 2,
        "row": 0,
        "column": 0,
        "digit": -1,
    }
    with pytest.raises(config.InputError, match="'hart' is unknown; did you mean 'hea"):
        captions.tokens(["a hart"])
    with pytest.raises(config.InputError, match="has no word"):
        captions.tokens(["a", "?"])


@pytest.mark.parametrize("y", [np.eye(3)[[0, 1, 2] * 9].astype(int), -words(27)])
def test_one_hot_or_negative_ids_are_no_captions(tmp_path, y):
    np.savez(tmp_path / "a.npz", x=np.zeros((27, 4), np.float32), y=y)
    with pytest.raises(config.InputError, match="must be captions"):
        data.load(str(tmp_path / "a.npz"))
