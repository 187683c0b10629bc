"""super_resolution: averages, and real digits with its baselines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import config, corruptions, tasks
from aejax.tasks import super_resolution


@pytest.fixture
def part(digits):
    return tasks.held_out(digits, "test", 20)


@pytest.mark.parametrize("factor", [2, 4])
def test_low_resolution_is_what_models_trained_on(part, factor):
    low = super_resolution.low_resolution(part.x, factor)
    assert low.shape == (20, 8 // factor, 8 // factor, 1)
    nearest = super_resolution.enlarged(low, factor, "nearest")
    trained_on = corruptions.downsample(jax.random.key(0), jnp.array(part.x), factor)
    np.testing.assert_allclose(nearest, trained_on, atol=1e-6)


def test_back_projection_restores_the_known_averages(part):
    low = super_resolution.low_resolution(part.x, 2)
    x_hat = super_resolution.enlarged(low, 2)
    error = [
        np.abs(super_resolution.low_resolution(image, 2) - low).max()
        for image in (
            x_hat,
            super_resolution.back_projected(x_hat, low),
            super_resolution.back_projected(x_hat, low, 30),
        )
    ]
    assert error[0] > 0.1 > error[1] > 1e-3 > error[2]
    # What is consistent already stays.
    np.testing.assert_allclose(
        super_resolution.back_projected(part.x, low), part.x, atol=1e-6
    )


def test_factors_that_do_not_divide_are_refused(digits):
    assert super_resolution.suitable(digits) == (2,)
    assert super_resolution.suitable(digits, (4,)) == (4,)
    with pytest.raises(config.InputError, match="blocks of"):
        super_resolution.suitable(digits, (3,))
    odd = digits._replace(train=digits.train._replace(x=np.zeros((5, 7, 7, 1))))
    with pytest.raises(config.InputError, match="2 that divides both sides"):
        super_resolution.suitable(odd)


def test_super_resolution_beats_bicubic_on_digits(small, digits, forgetful, drawn):
    axes = {"level": [2, 4]}
    run = small("denoising", axes, latent_dim=32, corruption="downsample")
    task = tasks.TASKS["super_resolution"]
    result = task.apply(run.models(), digits)
    got = {row["system"]: row["psnr [dB]"] for row in result.metrics}
    baselines = {"nearest", "bicubic", "bicubic + bp"}
    assert set(got) == {*baselines, "denoising", "denoising + bp"}
    assert got["denoising"] > max(got[name] for name in baselines) + 3
    assert got["denoising + bp"] > got["denoising"]
    assert result.metrics == task.apply(run.models(), forgetful(digits)).metrics
    assert drawn(result)
