"""Known manifolds, and the applications that see the geometry of codes."""

import types

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.data import manifolds, prepare
from aejax.tasks import intrinsic_dimension as intrinsic
from aejax.tasks import manifold, traverse


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
    early, late = [9, 5, 1.9, 1.2, 1.0], [9, 5, 3.0, 1.2, 1.0]
    curves = np.array([early, late])
    np.testing.assert_array_equal(intrinsic.knee(sizes, curves), [4, 8])
    assert intrinsic.knee(sizes, curves[0], factor=1.1) == 16
    assert intrinsic.interval(sizes, np.array([early] * 3)) == [4, 4]
    # Of the means of five draws two thirds hold the one seed that has the late knee.
    assert intrinsic.interval(sizes, np.array([early] * 4 + [[9, 9, 9, 1, 1]])) == [
        4,
        8,
    ]


def test_the_knee_of_held_out_bumps_is_their_dimension(small, forgetful, drawn):
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
    found = traverse.affine(z["train"], got)(z["test"])
    np.testing.assert_allclose(found, slope["test"], atol=5e-3)
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
