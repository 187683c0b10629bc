"""interpolate: lines and arcs, and paths between real digits."""

import numpy as np
import pytest

import aejax
from aejax import tasks
from aejax.tasks import interpolate

SIZES = {"latent_dim": [2, 8]}  # of models that all tests share


def test_arcs_keep_their_radius_and_lines_their_mean():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 7))
    a, b = (3 * z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
    t = np.linspace(0, 1, 5)
    bent, straight = interpolate.arc(a, b, t), interpolate.line(a, b, t)
    np.testing.assert_allclose(np.linalg.norm(bent, axis=-1), 3, rtol=1e-5)
    for path in (bent, straight):
        np.testing.assert_allclose(path[:, 0], a, atol=1e-5)
        np.testing.assert_allclose(path[:, -1], b, atol=1e-5)
        middle = (a + b) / np.linalg.norm(a + b, axis=1, keepdims=True)
        unit = path[:, 2] / np.linalg.norm(path[:, 2], axis=1, keepdims=True)
        np.testing.assert_allclose(unit, middle, atol=1e-5)
    steps = np.linalg.norm(np.diff(bent, axis=1), axis=-1)
    np.testing.assert_allclose(steps, steps[:, :1].repeat(4, 1), rtol=1e-4)
    same = interpolate.arc(a, a, t)  # no angle
    np.testing.assert_allclose(same, a[:, None].repeat(5, 1), rtol=1e-5)


def test_paths_are_compared_with_blended_digits(small, digits, forgetful, drawn):
    models = [small("vae", SIZES).model(latent_dim=8)]
    task = tasks.TASKS["interpolate"]
    result = task.apply(models, digits, pairs=40, frames=7)
    train, valid = (f"distance to {n} [data units]" for n in ("train", "valid"))
    for kind in ("two classes", "one class"):
        rows = {r["system"]: r for r in result.metrics if r["pairs"] == kind}
        ours = {"vae line", "vae arc", "vae blend"}
        assert set(rows) == ours | {"pixels", "real images"}
        if kind == "two classes":
            far = {system: row[train] for system, row in rows.items()}
            assert far["vae arc"] < far["vae line"] < far["vae blend"]
            assert far["vae arc"] < far["pixels"] - 0.05
            drawn_bars = result.panels[1].bars
            assert {n: float(bar[0]) for n, bar in drawn_bars.items()} == far
    two = task.apply(models, digits, pairs=2, frames=7).panels
    (first,) = (float(n) for s, n, _ in two[4].rows if s == "pixels")
    mean, low, high = two[1].bars["pixels"]  # of two values: Student's t is 12.7
    np.testing.assert_allclose((high - low) / 2, 12.7 * abs(first - mean), rtol=0.05)
    again = task.apply(models, forgetful(digits), pairs=40, frames=7).metrics
    for one, other in zip(result.metrics, again, strict=True):
        assert one[valid] == other[valid]  # frames are of test images alone
        assert other[train] > one[train] + 1  # which noise is far from
    few = digits._replace(test=digits.test._replace(x=digits.test.x[:1], y=None))
    with pytest.raises(aejax.InputError, match="too few"):
        task.apply(models, few)
    assert drawn(result)
