"""denoise: real digits, small, with its baselines."""

import numpy as np

from aejax import tasks
from aejax.tasks import denoise


def test_denoise_beats_its_baselines_on_digits(small, digits, forgetful, drawn):
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


def test_of_several_models_the_best_is_taken(small, digits, monkeypatch):
    """Levels are members of a program: the least mse of clean images is no measure."""
    monkeypatch.setattr(denoise, "BASELINES", {})  # they take longer than the models
    axes = {"level": [0.1, 1.0], "seed": [0, 1]}
    run = small("denoising", axes, latent_dim=32, corruption="gaussian")
    task = tasks.TASKS["denoise"]
    assert task.all_models, "apply --run gives it all models"
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
        setting = {"level": model.config.hparams["level"], "seed": model.config.seed}
        setting["split"] = "test"
        (row,) = [r for r in run.rows if setting.items() <= r.items()]
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
