"""traverse: transformations, directions that are known, real digits."""

import types

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.tasks import traverse


def test_transformations_are_what_they_say():
    x = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    right = traverse.transform(x, "shift", 1 / 8)
    np.testing.assert_allclose(right[:, :, 1:], x[:, :, :-1], atol=1e-6)
    np.testing.assert_allclose(right[:, :, 0], x[:, :, 0], atol=1e-6)
    turned = traverse.transform(x, "rotation", 90)
    np.testing.assert_allclose(turned, np.rot90(x, axes=(1, 2)), atol=1e-5)
    ramp = np.tile(np.arange(9, dtype=np.float32), (9, 1))[None, ..., None] / 8
    twice = traverse.transform(ramp, "zoom", 1)[0, 4, :, 0]
    np.testing.assert_allclose(twice, (np.arange(9) / 2 + 2) / 8, atol=1e-6)
    np.testing.assert_allclose(
        traverse.transform(x, "brightness", 0.5), np.minimum(1.5 * x, 1), atol=1e-6
    )
    for kind in traverse.LARGEST:
        np.testing.assert_allclose(traverse.transform(x, kind, 0), x, atol=1e-6)


def test_directions_that_are_known_are_found():
    """Codes that move by a (W z + d) give back W and d, the shared one its mean."""
    rng, amounts = np.random.default_rng(0), np.float32([-1, -0.5, 0.5, 1])
    w, d = rng.normal(size=(3, 3)), rng.normal(size=3)
    z = {s: rng.normal(size=(60, 3)) for s in ("train", "test")}
    slope = {s: v @ w + d for s, v in z.items()}
    moved = {s: z[s][None] + amounts[:, None, None] * slope[s][None] for s in z}
    got = traverse.slopes(z["train"], moved["train"], amounts)
    np.testing.assert_allclose(got, slope["train"], atol=1e-6)
    predicted = traverse.affine(z["train"], got)(z["test"])
    np.testing.assert_allclose(predicted, slope["test"], atol=5e-3)
    same = types.SimpleNamespace(encode=lambda x, *_: x)
    splits = {s: data.Split(v) for s, v in z.items()}
    codes = traverse.directions(same, splits, moved, amounts)
    assert list(codes)[-1] == "reconstruction"
    np.testing.assert_allclose(codes["affine map"], moved["test"], atol=5e-3)
    shared = slope["train"].mean(0, keepdims=True)
    wanted = z["test"][None] + amounts[:, None, None] * shared[None]
    np.testing.assert_allclose(codes["shared direction"], wanted, atol=1e-6)


def test_learned_directions_move_held_out_digits(small, digits, forgetful, drawn):
    models = small("ae", latent_dim=32).models()
    task, kinds = tasks.TASKS["traverse"], {"transformations": ("shift", "brightness")}
    result = task.apply(models, digits, **kinds)
    got = {(r["transformation"], r["system"]): r for r in result.metrics}
    ways = ("no change", "shared direction", "affine map", "reconstruction")
    systems = [f"ae {way}" for way in ways] + [f"pixels {way}" for way in ways[:3]]
    assert set(got) == {(kind, s) for kind in kinds["transformations"] for s in systems}
    for kind in kinds["transformations"]:
        still, shared, mapped, real = (got[kind, s]["psnr [dB]"] for s in systems[:4])
        assert still + 0.5 < shared < mapped < real
        r2 = [got[kind, s]["linearity r2"] for s in systems[:4]]
        assert r2[0] == 0 and r2[3] == 1 and 0.1 < r2[1] < r2[2] < 1
    again = task.apply(models, forgetful(digits), **kinds).metrics
    for row in again:  # directions are learned from training images, no more is
        first = got[row["transformation"], row["system"]]["psnr [dB]"]
        learned = row["system"].endswith(("direction", "map"))
        assert (row["psnr [dB]"] == first) != learned
    assert drawn(result)
    with pytest.raises(config.InputError, match="did you mean 'shift'"):
        task.apply(models, digits, transformations=("shfit",))


def test_the_most_active_latents_are_walked(small, digits):
    model = small("ae", latent_dim=32).model()
    z = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    z *= np.linspace(1, 2, 32, dtype=np.float32)[None]
    rows = traverse.dimensions(model, z, z[0])
    assert len(rows) == 8 and all(r[2].shape == (9, 8, 8, 1) for r in rows)
    order = np.argsort(-z.var(0))
    assert [r[0] for r in rows] == [f"z{i}" for i in order[:8]]
    walk = z[:1].copy()
    walk[0, order[0]] = np.quantile(z[:, order[0]], 0.99)
    np.testing.assert_allclose(rows[0][2][-1:], model.decode(walk), atol=1e-5)
