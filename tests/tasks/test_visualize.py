"""visualize: maps, planes, filters."""

import numpy as np
import pytest
from scipy import stats

from aejax import tasks
from aejax.tasks import visualize

SIZES = {"latent_dim": [2, 8]}  # of models that all tests share


def test_maps_are_scored_by_the_neighbours_they_keep():
    rng = np.random.default_rng(0)
    flat, y = rng.normal(size=(200, 2)), np.arange(200) % 2
    x = flat @ np.linalg.qr(rng.normal(size=(9, 9)))[0][:2]  # the plane, turned
    apart = flat + 20 * y[:, None]
    assert visualize.score(x, flat) == {"trustworthiness": 1.0}
    assert visualize.score(x, apart, y)["kNN accuracy"] == 1
    other = visualize.score(x, rng.normal(size=(200, 2)), y)
    assert other["trustworthiness"] < 0.6
    assert abs(other["kNN accuracy"] - 0.5) < 0.15


def test_planes_atoms_and_filters_show_their_model(small):
    vae = small("vae", SIZES).model(latent_dim=2)
    ae = small("ae", SIZES).model(latent_dim=2)
    upper = stats.norm.ppf(5 / 6)
    images = visualize.plane(vae, 3)
    top = vae.decode([[upper, upper]])[0]
    np.testing.assert_allclose(images[0, 2], top, atol=1e-5)
    codes = ae.training_codes()[0]
    corner = [[np.quantile(codes[:, 0], 1 / 6), np.quantile(codes[:, 1], 1 / 6)]]
    np.testing.assert_allclose(
        visualize.plane(ae, 3)[2, 0], ae.decode(corner)[0], atol=1e-6
    )
    shape = (8, 8, 1)
    moved = vae.decode([[0, 1]]) - vae.decode([[0, 0]])
    np.testing.assert_allclose(visualize.atoms(vae, shape)[1:], moved, atol=1e-6)
    weights = np.asarray(vae.params["net"]["encoder_0"]["kernel"])
    assert np.array_equal(visualize.filters(vae, shape)[5].ravel(), weights[:, 5])
    assert visualize.filters(vae, (4, 4, 1)) is None
    board = np.indices((8, 8)).sum(0).reshape(1, *shape) % 2
    assert visualize.smoothness(board) == pytest.approx(-1)
    assert visualize.smoothness(np.arange(64.0).reshape(1, *shape)) > 0.5


def test_visualize_maps_digits_better_than_pca(small, digits, forgetful, drawn):
    models = [
        small("vae", SIZES).model(latent_dim=2),
        small("ae", SIZES).model(latent_dim=8),
    ]
    task = tasks.TASKS["visualize"]
    result = task.apply(models, digits, limit=150)
    rows = {(r["system"], r["map"]): r for r in result.metrics}
    vae, pca = ("vae k=2", "latent plane"), ("data", "PCA")
    both = {(n, m) for n in ("data", "ae k=8") for m in ("PCA", "t-SNE")}
    assert set(rows) == both | {vae}
    for metric in ("trustworthiness", "kNN accuracy"):
        assert rows[vae][metric] > rows[pca][metric] + 0.05
    again = task.apply(models, forgetful(digits), limit=150).metrics
    worse = {(r["system"], r["map"]): r for r in again}
    assert {p: r for p, r in worse.items() if p != pca} == {
        p: r for p, r in rows.items() if p != pca
    }
    assert worse[pca]["kNN accuracy"] < rows[pca]["kNN accuracy"] - 0.1
    assert drawn(result)
