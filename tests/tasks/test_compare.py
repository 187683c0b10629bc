"""What tasks share: held-out data, and systems beside each other."""

import importlib
import pathlib
import re

import numpy as np
import pytest

from aejax import data, evaluate, tasks
from aejax.tasks import compare, denoise

RNG = np.random.default_rng(0)


def wang(x, y, weights, peak):
    """Wang et al., 2004, eqs. 12-17 of one image (H, W): window by window."""
    n, values = len(weights), []
    for i in range(len(x) - n + 1):
        for j in range(x.shape[1] - n + 1):
            a, b = (v[i : i + n, j : j + n] for v in (x, y))
            mu_a, mu_b = (weights * a).sum(), (weights * b).sum()
            var_a = (weights * (a - mu_a) ** 2).sum()
            var_b = (weights * (b - mu_b) ** 2).sum()
            both = (weights * (a - mu_a) * (b - mu_b)).sum()
            c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
            above = (2 * mu_a * mu_b + c1) * (2 * both + c2)
            below = (mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2)
            values.append(above / below)
    return np.mean(values)


@pytest.mark.parametrize(
    ("shape", "side", "name"),
    [
        ((28, 28, 1), 11, "ssim"),
        ((11, 13, 2), 11, "ssim"),
        ((8, 8, 1), 7, "ssim 7×7"),
        ((6, 10, 3), 5, "ssim 5×5"),
        ((2, 4, 1), 1, "ssim 1×1"),
    ],
)
@pytest.mark.parametrize("peak", [1.0, 3.0])
def test_ssim_is_wangs_or_its_column_says_so(shape, side, name, peak):
    from scipy import ndimage

    rng = np.random.default_rng(0)
    x = ndimage.gaussian_filter(rng.random((2, *shape)), (0, 2, 2, 0))
    x = peak * (x - x.min()) / np.ptp(x)
    x_hat = np.clip(x + 0.1 * peak * rng.normal(size=x.shape), 0, peak)
    offsets = np.arange(side) - side // 2
    weights = (
        np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
        if side == 11
        else 1.0
    )
    weights = np.broadcast_to(weights, (side, side))
    weights = weights / weights.sum()
    flat = (np.moveaxis(a, 3, 1).reshape(-1, *shape[:2]) for a in (x, x_hat))
    pairs = zip(*flat, strict=True)
    expected = np.mean([wang(a, b, weights, peak) for a, b in pairs])
    assert evaluate.ssim(x, x_hat, peak) == pytest.approx(expected, rel=1e-6)
    row = compare.quality(np.float32(x), np.float32(x_hat), peak)
    assert list(row) == ["psnr [dB]", name]
    assert row[name] == pytest.approx(expected, rel=1e-3)


def test_a_part_of_a_sorted_split_has_its_classes(digits):
    order = np.argsort(digits.test.y)
    part = type(digits.test)(digits.test.x[order], digits.test.y[order])
    some = tasks.held_out(digits._replace(test=part), "test", 30)
    assert len(some.x) == len(some.y) <= 30
    assert len(set(some.y.tolist())) == 10
    assert len(tasks.held_out(digits).x) == len(digits.test.x)


@pytest.fixture(scope="module")
def floats(tmp_path_factory):
    """Float images from -1 to 3, of which one is for test: its mse is all there is."""
    rng = np.random.default_rng(0)
    centre = np.indices((8, 8)).sum(0)[None, ..., None] / 7 - 1
    path = tmp_path_factory.mktemp("floats") / "floats.npz"
    arrays = {}
    for split, n in (("train", 200), ("valid", 20), ("test", 1)):
        x = centre * rng.uniform(-1, 1, (n, 1, 1, 1)) * 2 + 1
        arrays[f"x_{split}"] = x.astype(np.float32)
    np.savez(path, **arrays)
    return data.load(str(path))


def test_rows_and_tasks_have_one_psnr(small, floats):
    """Of one example the PSNR of the mean error is the mean PSNR of the errors."""
    fields = {"latent_dim": 2, "epochs": 2, "eval_every": 2}
    run = small("ae", dataset=floats.name, **fields)
    peak = data.peak(floats)
    assert 3 < peak < 5
    (row,) = [r for r in run.rows if r["split"] == "test"]
    options = {"corruptions": ("gaussian",), "levels": (0.0,)}
    task = tasks.TASKS["denoise"].apply(run.models(), floats, **options)
    (ours,) = [r for r in task.metrics if r["system"] == "ae"]
    assert ours["psnr [dB]"] == pytest.approx(row["psnr"], abs=1e-4)
    noisy = task.metrics[0]
    assert noisy["system"] == "noisy" and noisy["psnr [dB]"] == evaluate.metrics.CAP
    x = tasks.held_out(floats, "valid").x
    error = evaluate.error(x, run.model().reconstruct(x))
    (row,) = [r for r in run.rows if r["split"] == "valid"]
    assert evaluate.psnr(error.mean(), peak) == pytest.approx(row["psnr"], abs=1e-4)
    each = evaluate.example_psnr(x, run.model().reconstruct(x), peak)
    assert each.mean() > row["psnr"] + 0.02, "another number, of another name"


def test_baselines_are_cut_to_the_range_of_the_data(floats):
    assert data.limits(floats) == pytest.approx((floats.train.x.min(), 3), abs=0.1)
    assert data.limits(data.load("digits")) == (0, 1)
    restore = denoise.systems([], floats, floats.valid, "gaussian", 0.5)
    noisy = denoise.corrupted(floats.test.x, "gaussian", 2.0)
    for name in denoise.BASELINES:
        x_hat = restore[name](noisy, None)
        assert x_hat.max() > 1.5 and x_hat.min() < 0.5, "not cut to [0, 1]"
        low, high = data.limits(floats)
        assert low <= x_hat.min() and x_hat.max() <= high + 1e-6


def test_errors_are_means_over_valid_steps():
    x, x_hat = RNG.normal(size=(2, 3, 5, 2))
    steps = np.array([1, 5, 2])
    wanted = [np.square((x - x_hat)[i, :n]).mean() for i, n in enumerate(steps)]
    got = evaluate.error(x, x_hat, steps)
    np.testing.assert_allclose(got, wanted)
    np.testing.assert_allclose(
        evaluate.error(x, x_hat), np.square(x - x_hat).reshape(3, -1).mean(1)
    )
    flat = evaluate.error(x[..., 0], x_hat[..., :1], np.array([5, 5, 5]))
    np.testing.assert_allclose(flat, np.square(x - x_hat)[..., 0].mean(1))


def test_measures_of_arrays_need_no_jax(imported):
    code = "from aejax.evaluate import metrics; metrics.psnr(1, 1); import aejax.tasks"
    assert imported(code, ["jax", "scipy", "skimage", "sklearn"]) == "[]"


def test_systems_are_compared_under_every_condition():
    x = np.arange(4.0)[:, None]
    conditions = [
        compare.Condition(
            {"kind": "shift", "level": level},
            {"still": lambda a, b: a, "back": lambda a, b: a - b},
            (x + level, 2 * level),
        )
        for level in (1.0, 2.0)
    ]
    done = compare.compare(
        conditions, lambda x_hat: {"error": float(np.abs(x - x_hat).mean())}, [0]
    )
    assert compare.rows(done)[1] == {
        **{"kind": "shift", "level": 1.0, "system": "back", "error": 1.0}
    }
    assert compare.means(done) == [
        {"system": "still", "kind": "shift", "error": 1.5},
        {"system": "back", "kind": "shift", "error": 1.5},
    ]
    assert [c.examples.tolist() for c in done] == [[[v]] for v in (1, -1, 2, -2)]
    lines = compare.curves("", done, "level", "error").lines
    assert lines == {n: [(1.0, 1.0), (2.0, 2.0)] for n in ("still", "back")}
    assert compare.bars("", done, "error").bars["back"] == (1.5, 1.0, 2.0)
    grid = compare.grid("", done, "error", ("one", "two"))
    np.testing.assert_array_equal(grid.values, [[1, 2], [1, 2]])
    last = compare.where(done, {"level": 2.0})
    assert [c.system for c in last] == ["still", "back"]
    assert compare.best({1: x + 1, 2: x + 0.1, 3: x - 3}, x, 3.0) == 2


def test_the_readmes_task_works(small, digits, drawn, forgetful, tmp_path):
    """Its code as a file of the user's, by its path."""
    page = (pathlib.Path(tasks.__file__).parent / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(code.splitlines()) < 75
    (tmp_path / "deblur.py").write_text(code)
    path = str(tmp_path / "deblur.py")
    task, models = tasks.TASKS[path], small("ae", latent_dim=32).models()
    assert tasks.TASKS.title(path).startswith("Deblurring: a model of sharp images")
    assert task.options == {"sigmas": (0.5, 1.0), "limit": 1000}
    result = task.apply(models, digits, limit=100)
    got = {(r["sigma"], r["system"]): r["psnr [dB]"] for r in result.metrics}
    assert set(got) == {
        (s, n) for s in (0.5, 1) for n in ("ae", "blurred", "unsharp mask")
    }
    assert got[0.5, "blurred"] > got[1, "blurred"] < got[1, "unsharp mask"]
    assert result.metrics == task.apply(models, forgetful(digits), limit=100).metrics
    assert drawn(result)


# What the README says of them: no functions of examples are compared.
WITHOUT = {"interpolate", "traverse", "visualize", "intrinsic_dimension", "music"}


def test_tasks_that_compare_have_public_systems():
    modules = {n: importlib.import_module(f"aejax.tasks.{n}") for n in tasks.TASKS}
    have = {n for n, m in modules.items() if callable(getattr(m, "systems", None))}
    assert have == set(tasks.TASKS) - WITHOUT


def test_pca_is_used_as_models_are():
    """By NumPy's SVD, which knows its components but for their signs."""
    x, new = RNG.normal(size=(30, 2, 3)), RNG.normal(size=(7, 2, 3))
    mean, pca = x.reshape(30, 6).mean(0, keepdims=True), tasks.PCA(x, 4)
    axes = np.linalg.svd(x.reshape(30, 6) - mean, full_matrices=False)[2][:4]
    z = (new.reshape(7, 6) - mean) @ axes.T
    part = data.Split(new, None, None)
    np.testing.assert_allclose(np.abs(tasks.codes(pca, part)), np.abs(z), atol=1e-9)
    want = (mean + z @ axes).reshape(7, 2, 3)
    np.testing.assert_allclose(pca.reconstruct(*part), want, atol=1e-9)
    np.testing.assert_allclose(tasks.PCA(x, 99).reconstruct(new), new, atol=1e-9)
