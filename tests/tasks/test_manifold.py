"""manifold: noisy points return, and Jacobians by differences."""

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.data import manifolds
from aejax.tasks import manifold


@pytest.fixture
def toy(small):
    """(objective, dataset, **values) -> a small model of a known manifold."""

    def train(objective, dataset, **values):
        values = {"hidden": (64, 64), "epochs": 60, "eval_every": 60} | values
        return small(objective, dataset=dataset, **values).model()

    return train


def test_noisy_points_return_to_the_spiral(toy, forgetful, drawn):
    spiral, task = data.load("spiral"), tasks.TASKS["manifold"]
    noise = {"corruption": "gaussian", "level": 0.1, "epochs": 120, "eval_every": 120}
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
    assert cosine[(far > 0.05) & (far < 0.2)].mean() > 0.8
    with pytest.raises(config.InputError, match="give it --dataset spiral, circles"):
        task.sweeps(data.load("plane_8"))


def test_singular_values_are_those_of_differences(toy):
    model = toy("ae", "spiral", latent_dim=2)
    x = data.load("spiral").test.x[:40]
    got = manifold.singular_values(model, x)
    steps = 2e-3 * np.eye(2, dtype=np.float32)
    ends = [model.encode(x + s) - model.encode(x - s) for s in steps[:, None]]
    wanted = np.linalg.svd(np.stack(ends, 2) / 4e-3, compute_uv=False)
    assert got.shape == (40, 2)
    # relu has corners: some differences straddle one
    assert np.median(np.abs(got - wanted)) < 1e-3
