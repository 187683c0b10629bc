"""The coder's files, bits-back, files of images."""

import math

import jax
import numpy as np
import pytest
from scipy import special, stats

import aejax
from aejax import model as model_lib
from aejax import tasks
from aejax.tasks import coding

SIZES = {"latent_dim": [2, 8]}  # of models that all tests share


@pytest.mark.parametrize("n, k, step", [(1, 1, 1), (7, 3, 0.5), (3000, 5, 0.1)])
def test_files_decode_to_integers_never_seen_before(n, k, step):
    rng = np.random.default_rng(n)
    coder = coding.fit(rng.normal(size=(500, k)), step)
    z = rng.standard_t(2, size=(n, k)) * 3
    q = coder.quantise(z)
    assert n == 1 or coder.symbols(q)[1].any()  # outside the tables
    assert np.array_equal(coding.decode(coder, coding.encode(coder, q)), q)
    assert np.abs(coder.dequantise(q) - z).max() <= coder.step * 0.501


def test_files_are_as_short_as_their_entropy():
    z = np.random.default_rng(0).normal(size=(20_000, 4)) * np.array([[3, 1, 0.1, 0]])
    coder = coding.fit(z, 0.5)
    q = coder.quantise(z)
    columns = (np.unique(c, return_counts=True)[1] / len(c) for c in q.T)
    least = sum(special.entr(p).sum() for p in columns) / math.log(2) / 8
    assert 1 < len(coding.encode(coder, q)) / len(q) / least < 1.01


def test_a_step_too_small_for_tables_still_decodes():
    z = np.random.default_rng(0).normal(size=(50, 2))
    coder = coding.fit(z, 1e-5)
    q = coder.quantise(z)
    assert coder.symbols(q)[1].mean() > 0.5
    assert np.array_equal(coding.decode(coder, coding.encode(coder, q)), q)
    with pytest.raises(aejax.InputError, match="not finite"):
        coder.quantise(z * np.nan)


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_image_files_are_read_back_in_their_order(one, channels):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (5, 4, 6, channels)).astype(np.uint8)
    size, read = coding.images(x, "png", one)
    assert np.array_equal(read, x)
    assert size > x.size


@pytest.mark.parametrize("values", [{}, {"likelihood": "categorical", "epochs": 1}])
def test_bits_back_is_the_elbo_over_levels(small, digits, values):
    model = small("vae", SIZES, **values).model(latent_dim=8)
    x = tasks.held_out(digits).x[:64]
    got = coding.bits_back(model, x, levels=17)
    mu, logvar = model.model.encode(model.params, model_lib.Batch(x))
    z = model.model.sample(jax.random.fold_in(jax.random.key(0), 0), mu, logvar)
    decoded = np.asarray(model.model.decode(model.params, z))  # (64, 8, 8, 1, 1 or 17)
    tilt = 1.0 if values else np.arange(17) / 16
    level = np.rint(x * 16).astype(int)[..., None]
    nll = -np.take_along_axis(special.log_softmax(decoded * tilt, -1), level, -1)
    q = stats.norm(mu, np.exp(0.5 * np.asarray(logvar))).logpdf(z).sum(1)
    nats = nll.reshape(64, -1).sum(1) + q - stats.norm.logpdf(z).sum(1)
    np.testing.assert_allclose(got, nats / math.log(2), rtol=1e-4)
