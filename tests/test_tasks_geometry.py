"""Known manifolds, and the applications that see the geometry of codes."""

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.data import manifolds, prepare
from aejax.tasks import manifold


@pytest.mark.parametrize("name", manifolds.MANIFOLDS)
def test_known_manifolds_are_what_they_say(name):
    from scipy import spatial

    known, d = manifolds.MANIFOLDS[name], data.load(name)
    assert [s.x.shape for s in d[1:4]] == [(n, known.size) for n in (4000, 500, 1000)]
    assert (d.train.x.dtype, d.likelihood, d.scale) == (np.float32, "gaussian", 1)
    shape, *_ = next(e[1:] for e in data.describe() if e[0] == name)
    assert shape == (known.size,)
    for again, part in zip(data.load(name)[1:4], d[1:4], strict=True):
        np.testing.assert_array_equal(again.x, part.x)
    # The directions in which a point can move, and nothing else, by differences.
    u = np.random.default_rng(0).uniform(0.4, 0.6, known.dim)
    steps = np.vstack([u, u + 1e-6 * np.eye(known.dim)])
    at = known.point(*steps.T)
    assert np.linalg.matrix_rank((at[1:] - at[0]) / 1e-6, 1e-3) == known.dim
    if known.dim <= 2:  # the noise is all that keeps x off the manifold
        off = spatial.cKDTree(manifolds.points(name, 10**6)).query(d.test.x)[0]
        normal = np.sqrt(np.square(off).mean() / (known.size - known.dim))
        assert normal == pytest.approx(known.noise, rel=0.1)
    with pytest.raises(config.InputError, match="is drawn whenever it is loaded"):
        prepare.prepare(name)


@pytest.mark.parametrize("name", ("spiral", "helix", "circles"))
def test_points_of_a_curve_are_evenly_spread_and_in_order(name):
    steps = np.linalg.norm(np.diff(manifolds.points(name, 3000), axis=0), axis=1)
    assert np.quantile(steps, 0.99) < 1.2 * np.quantile(steps, 0.01)


@pytest.fixture
def toy(small):
    """(objective, dataset, **values) -> a small model of a known manifold."""

    def train(objective, dataset, **values):
        values = {"hidden": (64, 64), "epochs": 60, "eval_every": 60} | values
        return small(objective, dataset=dataset, **values).model()

    return train


def test_noisy_points_return_to_the_spiral(toy, forgetful, drawn):
    spiral, task = data.load("spiral"), tasks.TASKS["manifold"]
    noise = {"corruption": "gaussian", "level": 0.1}
    models = [toy("denoising", "spiral", latent_dim=2, **noise)]
    models += [toy("ae", "spiral", latent_dim=2)]
    result = task.apply(models, spiral, levels=(0.1,))
    got = {row["system"]: row["distance"] for row in result.metrics}
    assert set(got) == {"noisy", "pca", "mean of nearest", "denoising", "ae"}
    assert got["mean of nearest"] < 0.02 < got["denoising"] < 0.6 * got["noisy"]
    assert got["ae"] > 0.8 * got["noisy"], "as many latents as dimensions: identity"
    again = task.apply(models, forgetful(spiral), levels=(0.1,)).metrics
    for row in again:  # the baselines learn from training data, and nothing else does
        same = row["distance"] == got[row["system"]]
        assert same == (row["system"] not in ("pca", "mean of nearest"))
    assert drawn(result)
    # Arrows of the denoising model point to the curve, wherever they have a way to go.
    field = result.panels[0]
    truth = manifolds.points("spiral", 2000)
    gaps = truth[None] - field.xy[:, None]
    way = gaps[np.arange(len(gaps)), np.square(gaps).sum(2).argmin(1)]
    far = np.linalg.norm(way, axis=1)
    cosine = (way * field.arrows).sum(1) / far / np.linalg.norm(field.arrows, axis=1)
    assert cosine[(far > 0.05) & (far < 0.2)].mean() > 0.7
    with pytest.raises(config.InputError, match="give it --dataset spiral, circles"):
        task.sweeps(data.load("plane_8"))


def test_singular_values_are_those_of_differences(toy):
    model = toy("ae", "spiral", latent_dim=2)
    x = data.load("spiral").test.x[:40]
    got = manifold.singular_values(model, x)
    steps = 1e-2 * np.eye(2, dtype=np.float32)
    ends = [model.encode(x + s) - model.encode(x - s) for s in steps[:, None]]
    wanted = np.linalg.svd(np.stack(ends, 2) / 2e-2, compute_uv=False)
    assert got.shape == (40, 2)
    # relu has corners: some differences straddle one
    assert np.median(np.abs(got - wanted)) < 1e-3
