"""Applications: real digits, small; metrics of held-out data, baselines beside them."""

from aejax import tasks


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
