"""intrinsic_dimension: known clouds, formulas, knees."""

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.data import manifolds
from aejax.tasks import intrinsic_dimension as intrinsic


def sphere(dim, n=2000):
    x = np.random.default_rng(0).normal(size=(n, dim + 1))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def cloud(name, n=2000):
    known = manifolds.MANIFOLDS[name]
    return known.point(*np.random.default_rng(0).uniform(size=(known.dim, n)))


@pytest.mark.parametrize("estimate", (intrinsic.mle, intrinsic.two_nn))
def test_dimensions_of_points_on_known_manifolds(estimate):
    for dim in (1, 2, 4):
        assert estimate(sphere(dim)) == pytest.approx(dim, rel=0.07)
    plane = np.random.default_rng(0).normal(size=(2000, 3)) @ np.eye(3, 20)
    assert estimate(plane) == pytest.approx(3, rel=0.07)
    assert estimate(cloud("swiss_roll")) == pytest.approx(2, rel=0.07)
    twice = np.concatenate([plane, plane]).reshape(-1, 4, 5)  # shape and doubles
    assert estimate(twice) == pytest.approx(estimate(plane), rel=1e-6)
    assert estimate(7 * plane + 1) == pytest.approx(estimate(plane), rel=1e-6)
    with pytest.raises(config.InputError, match="not more than"):
        estimate(np.zeros((30, 4)))


def test_mle_is_its_formula():
    x = np.random.default_rng(0).normal(size=(50, 3))
    apart = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), 1)[:, 1:]
    each = []
    for k in (4, 5, 6):
        rows = [sum(np.log(r[k - 1] / r[j]) for j in range(k - 1)) for r in apart]
        each.append((k - 1) / np.mean(rows))
    assert intrinsic.mle(x, 4, 6) == pytest.approx(np.mean(each), rel=1e-6)


def test_two_nn_is_the_slope_of_its_formula(monkeypatch):
    """Ratios that follow 1 − μ^−3 exactly have dimension 3."""
    share = np.arange(1, 1001) / 1000.0
    mu = (1 - np.minimum(share, 0.9999)) ** (-1 / 3)
    pairs = np.stack([np.ones_like(mu), mu], 1)
    monkeypatch.setattr(intrinsic, "_nearest", lambda x, count: pairs)
    assert intrinsic.two_nn(None) == pytest.approx(3, abs=1e-9)


def test_the_knee_and_its_interval():
    sizes = [1, 2, 4, 8, 16]
    early, later = [9, 5, 1.9, 1.2, 1.0], [9, 5, 3.0, 1.2, 1.0]
    curves = np.array([early, later])
    np.testing.assert_array_equal(intrinsic.knee(sizes, curves), [4, 8])
    assert intrinsic.knee(sizes, curves[0], factor=1.1) == 16
    assert intrinsic.knee_interval(sizes, np.array([early] * 3)) == [4, 4]
    # Of the means of five draws two thirds hold the one seed that has the late knee.
    assert intrinsic.knee_interval(
        sizes, np.array([early] * 4 + [[9, 9, 9, 1, 1]])
    ) == [
        4,
        8,
    ]


def test_the_knee_of_bumps_is_their_dimension(small, forgetful, drawn):
    bumps, task = data.load("bumps"), tasks.TASKS["intrinsic_dimension"]
    axes = {"latent_dim": [2, 3, 4, 8], "seed": [0, 1]}
    run = small("ae", axes, dataset="bumps", epochs=15, eval_every=15)
    result = task.apply(run.models(), bumps)
    got = {r["system"]: r for r in result.metrics if r["data"] == "bumps"}
    assert set(got) == {"knee, ae", "knee, pca", "mle", "two_nn"}
    ae = got["knee, ae"]
    assert [ae[n] for n in ("dimension", "low", "high", "not enough")] == [4, 4, 4, 3]
    assert got["knee, pca"]["dimension"] == 8, "PCA sees no bend at 4"
    assert got["mle"]["dimension"] == pytest.approx(4, rel=0.1)
    assert drawn(result)
    again = task.apply(run.models(), forgetful(bumps)).metrics
    assert [r for r in again if r["system"] != "knee, pca"] == [
        r for r in result.metrics if r["system"] != "knee, pca"
    ]
    with pytest.raises(config.InputError, match="three sizes or more"):
        task.apply(run.models(latent_dim=4), bumps)
    alone = task.apply(run.models(seed=0), bumps).metrics[0]
    assert alone["dimension"] == 4 and "low" not in alone, "one seed: no interval"
