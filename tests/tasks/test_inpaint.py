"""inpaint: real digits, small, with its baselines."""

import numpy as np

from aejax import tasks
from aejax.tasks import fills, inpaint


def test_inpaint_beats_its_baselines_on_digits(small, digits, forgetful, drawn):
    vae = small("vae", latent_dim=32).model()
    axes = {"level": [0.0, 0.36]}
    run = small("denoising", axes, latent_dim=32, corruption="occlusion")
    models = [vae, *run.models()]
    task = tasks.TASKS["inpaint"]
    options = {"masks": ("patch",), "limit": 100}
    result = task.apply(models, digits, **options)
    rows = {row["system"]: row for row in result.metrics}
    got = {name: row["psnr [dB]"] for name, row in rows.items()}
    ours = {"vae", "denoising"}
    ours |= {f"{name} + edge" for name in ours}
    baselines = {"mean", "membrane", "biharmonic"}
    assert set(got) - {"Telea", "Navier–Stokes"} == baselines | ours
    others = max(v for name, v in got.items() if name not in ours)
    assert min(got[name] for name in ours) > others + 1
    # The model was chosen on valid, and the right one.
    assert rows["denoising"]["chosen"] == "level=0.36"
    assert result.metrics == task.apply(models, forgetful(digits), **options).metrics
    # Known pixels are kept, hidden ones are grey in the picture and count alone.
    clean, hidden, *filled = (examples for *_, examples in result.panels[0].rows)
    assert len(filled) == len(got)
    for x_hat in filled:
        np.testing.assert_array_equal(x_hat[hidden != 0.5], clean[hidden != 0.5])
        assert (x_hat != clean).any()
    assert drawn(result)


def test_psnr_is_of_hidden_pixels_alone():
    x, known = np.zeros((2, 4, 4, 1)), fills.mask("pixels", (2, 4, 4, 1))
    x_hat = np.where(known, 1.0, 0.1)
    np.testing.assert_allclose(inpaint.hidden_psnr(x, x_hat, known), 20, rtol=1e-6)


def test_without_opencv_the_text_says_what_to_install(small, digits, monkeypatch):
    monkeypatch.setattr(inpaint.importlib.util, "find_spec", lambda name: None)
    axes = {"level": [0.0, 0.36]}
    run = small("denoising", axes, latent_dim=32, corruption="occlusion")
    result = inpaint.apply(run.models(), digits, masks=("rows",), limit=10)
    assert {r["system"] for r in result.metrics} == {
        "mean",
        "membrane",
        "biharmonic",
        "denoising",
        "denoising + edge",
    }
    assert 'pip install "aejax[opencv]"' in result.text
