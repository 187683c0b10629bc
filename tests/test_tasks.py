"""Applications: real digits, small; metrics of held-out data, baselines beside them."""

import numpy as np
import pytest

from aejax import tasks


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
def test_ssim_is_wangs_and_where_it_cannot_be_its_column_says_so(
    shape, side, name, peak
):
    from scipy import ndimage

    rng = np.random.default_rng(0)
    x = ndimage.gaussian_filter(rng.random((2, *shape)), (0, 2, 2, 0))
    x = peak * (x - x.min()) / np.ptp(x)
    x_hat = np.clip(x + 0.1 * peak * rng.normal(size=x.shape), 0, peak)
    at = np.arange(side) - side // 2
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2)) if side == 11 else 1.0
    weights = np.broadcast_to(weights, (side, side))
    weights = weights / weights.sum()
    flat = (np.moveaxis(a, 3, 1).reshape(-1, *shape[:2]) for a in (x, x_hat))
    pairs = zip(*flat, strict=True)
    expected = np.mean([wang(a, b, weights, peak) for a, b in pairs])
    assert tasks.ssim(x, x_hat, peak) == pytest.approx(expected, rel=1e-6)
    row = tasks.quality(np.float32(x), np.float32(x_hat), peak)
    assert list(row) == ["psnr [dB]", name]
    assert row[name] == pytest.approx(expected, rel=1e-3)


def test_denoise_beats_the_baselines_on_held_out_digits(
    small, digits, forgetful, drawn
):
    model = small("denoising", latent_dim=32, corruption="gaussian", level=0.5).model()
    task = tasks.TASKS["denoise"]
    options = {"corruptions": ("gaussian",), "levels": (0.5,)}
    result = task.apply([model], digits, **options)
    got = {row["system"]: row["psnr [dB]"] for row in result.metrics}
    assert set(got) == {"noisy", "median", "total variation", "denoising"}
    assert got["denoising"] > got["total variation"] + 2
    assert got["noisy"] < got["median"]
    assert result.metrics == task.apply([model], forgetful(digits), **options).metrics
    assert drawn(result)


def test_denoise_takes_of_several_models_the_one_that_restores_best(small, digits):
    """Levels are lanes of one program: the least mse of clean images is no measure."""
    axes = {"level": [0.1, 1.0], "seed": [0, 1]}
    run = small("denoising", axes, latent_dim=32, corruption="gaussian")
    task = tasks.TASKS["denoise"]
    assert task.every, "apply --run gives it all models"
    options = {"corruptions": ("gaussian",), "levels": (0.1, 1.0)}

    def restored(models):
        rows = task.apply(models, digits, **options).metrics
        return {r["level"]: r["psnr [dB]"] for r in rows if r["system"] == "denoising"}

    chosen = restored(run.models())
    alone = {m.config.hparams["level"]: restored([m]) for m in run.models(seed=0)}
    for level in (0.1, 1.0):
        assert chosen[level] >= alone[level][level] - 0.2
    assert chosen[1.0] > alone[0.1][1.0] + 1
    # What is restored is measured beside what is reconstructed, and chosen by.
    noise = np.random.default_rng(0).normal(size=digits.test.x.shape)
    x = digits.test.x / np.float32(16)
    for model in run.models():
        own = {"level": model.config.hparams["level"], "seed": model.config.seed}
        own["split"] = "test"
        (row,) = [r for r in run.rows if own.items() <= r.items()]
        noisy = x + np.float32(model.config.hparams["level"] * noise)
        mse = np.square(x - model.reconstruct(noisy, corrupted=True)).mean()
        np.testing.assert_allclose(row["mse_restored"], mse, rtol=0.1)
        assert row["mse_restored"] > row["mse"]
    valid = [r for r in run.rows if r["split"] == "valid"]
    (best,) = run.best()
    least = min(valid, key=lambda r: r["mse_restored"])
    assert (best.config.hparams["level"], best.config.seed) == (
        least["level"],
        least["seed"],
    )
