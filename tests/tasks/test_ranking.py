"""Ranks without labels: p-values, discoveries by definition, rows of files."""

import io

import numpy as np
import pandas as pd

from aejax import data
from aejax.tasks import panels, ranking


def test_p_values_count_normal_examples():
    rng = np.random.default_rng(0)
    normal, scores = rng.integers(0, 30, 99) * 1.0, rng.integers(-5, 40, 50) * 1.0
    p = ranking.p_values(normal, scores)
    assert list(p) == [(1 + sum(n >= s for n in normal)) / 100 for s in scores]
    assert p.min() == 0.01 and p.max() == 1


def test_p_values_of_normal_examples_keep_their_rate():
    """P(p <= a) <= a, over draws of both sets."""
    rng = np.random.default_rng(0)
    pairs = rng.exponential(size=(4000, 2, 19)) ** 3
    p = np.array([ranking.p_values(a, b[:1])[0] for a, b in pairs])
    for rate in (0.05, 0.1, 0.5):
        assert abs((p <= rate).mean() - rate) < 4 * np.sqrt(rate / 4000)


def test_discoveries_by_benjamini_and_hochberg():
    p = np.array([0.02, 0.9, 0.01, 0.041, 0.5, 0.03])
    # Sorted .01 .02 .03 .041 .5 .9 against rate · i / 6 = .0167 .033 .05 .067 .083 .1.
    assert list(ranking.discoveries(p, 0.1)) == [True, False, True, True, False, True]
    assert not ranking.discoveries(p, 0.05).any()


def test_scores_stand_in_the_order_of_the_file(tmp_path):
    x = np.arange(200, dtype=np.float32).reshape(100, 2)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(100) % 3)
    mine = data.load(str(tmp_path / "a.npz"))
    for split in data.SPLITS:
        origin, rows = mine.rows[split]
        assert origin == "train" and (x[rows] == getattr(mine, split).x).all()
    scores = {s: getattr(mine, s).x[:, 0] for s in data.SPLITS}
    file = ranking.table(
        mine, scores, mine.valid.x[:, 0], 150.0, dict.fromkeys(scores, "seen")
    )
    table = pd.read_csv(io.BytesIO(file))
    assert list(table["score"]) == list(x[:, 0])
    assert list(table["row"]) == list(range(100))
    assert set(table["used"]) == {"seen"}
    assert list(table["alarm"]) == list(x[:, 0] > 150)
    assert ranking.places(mine, ["test"])[0] == f"row {mine.rows['test'][1][0]}"
    view = data.load(f"{tmp_path / 'a.npz'}:1")
    for split in data.SPLITS:
        assert (x[view.rows[split][1]] == getattr(view, split).x).all()


def test_given_splits_keep_their_order_and_names(tmp_path):
    parts = {"x_train": 20, "x_test": 7}
    arrays = {n: np.random.default_rng(0).random((k, 3)) for n, k in parts.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    mine = data.load(str(tmp_path / "a.npz"))
    scores = {s: getattr(mine, s).x[:, 0] for s in data.SPLITS}
    file = ranking.table(mine, scores, scores["valid"], 0.5, {s: s for s in scores})
    table = pd.read_csv(io.BytesIO(file))
    assert list(table["split"]) == ["train"] * 20 + ["test"] * 7
    whole = np.concatenate([a[:, 0] for a in arrays.values()])
    np.testing.assert_allclose(table["score"], whole, rtol=1e-5)
    assert (table["used"] == "test").sum() == 7
    assert ranking.places(mine, ["test"]) == [f"test {i}" for i in range(7)]


def test_where_an_example_is_strange():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(1000, 20)) * np.arange(1, 21)
    x, x_hat = np.zeros((2, 20)), np.zeros((2, 20))
    x[0, 3], x[1, 15] = 8.0, 32.0
    panel = ranking.where("t", x, x_hat, usual, ["a", "b"])
    assert panel.rows[3] == "3" and len(panel.rows) == 12
    assert panel.columns == ["a", "b"]
    assert abs(panel.values[3, 0] - 2) < 0.2
    assert abs(panel.values[panel.rows.index("15"), 1] - 2) < 0.2
    names = [f"c{i}" for i in range(20)]
    assert ranking.where("t", x, x_hat, usual, ["a", "b"], names).rows[3] == "c3"
    images = ranking.where(
        "t", x.reshape(2, 4, 5, 1), x_hat.reshape(2, 4, 5, 1), usual, []
    )
    assert isinstance(images, panels.Images) and len(images.rows) == 3
