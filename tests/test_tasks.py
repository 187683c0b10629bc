"""Applications: real digits, small; metrics of held-out data, baselines beside them."""

import numpy as np
import pytest

import aejax
from aejax import config as configs
from aejax import data as datasets
from aejax import tasks
from aejax.report import applied


@pytest.fixture(scope="session")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="session")
def small(digits):
    """(objective, **more) -> a Run of one objective on digits, trained in seconds."""
    runs = {}

    def train(objective, axes=None, **values):
        key = str((objective, axes, values))
        if key not in runs:
            fields = {n: v for n, v in values.items() if n in configs.FIELDS}
            hparams = {n: v for n, v in values.items() if n not in fields}
            fields = {"epochs": 40, "eval_every": 40} | fields
            base = aejax.Config(objective=objective, hparams=hparams, **fields)
            runs[key] = aejax.sweep(base, axes or {})
        return runs[key]

    return train


def systems(result):
    return {row["system"] for row in result.metrics}


def drawn(result):
    """The figure can be made, whatever is in the panels."""
    from aejax.report import canvas

    with canvas.style():
        return applied.draw(result.panels)


def forgetful(data):
    """The data with a training split that no metric may look at: noise."""
    noise = np.random.default_rng(0).integers(0, 17, data.train.x.shape)
    train = data.train._replace(x=noise.astype(data.train.x.dtype))
    return data._replace(train=train)


def test_denoise_beats_the_baselines_on_held_out_digits(small, digits):
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
