"""What is exported comes back without run and data, as the same functions."""

import jax
import numpy as np
import pytest

import aejax
from aejax.exports import arrays

KEY = jax.random.key(3)


@pytest.mark.parametrize("objective", ["vae", "ae", "vq_vae", "vamp_vae"])
def test_an_export_is_the_model_again(run, digits, tmp_path, objective):
    model = run.model(objective=objective, latent_dim=2)
    after = aejax.load(model.export(tmp_path))
    x = digits.test.x[:9] / digits.scale
    close = dict(rtol=1e-5, atol=1e-6)
    z, same = model.encode(x), after.encode(x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), z, same)
    np.testing.assert_allclose(after.decode(same), model.decode(z), **close)
    np.testing.assert_allclose(after.sample(KEY, 5), model.sample(KEY, 5), **close)
    assert after.spec.model.network_spec.latent_dim == 2  # no padding travels
    assert (after.config, after.step) == (model.config, model.step)


def test_a_density_that_needs_data_says_so(run, tmp_path):
    after = aejax.load(run.model(objective="vae", latent_dim=2).export(tmp_path))
    with pytest.raises(aejax.InputError, match="exported without its data.*open_run"):
        after.sample(KEY, 2, density="gmm")


def test_another_format_and_other_arrays_are_refused(run):
    model = run.model(objective="ae", latent_dim=2)
    facts, known = arrays.facts(model), arrays.arrays(model)
    with pytest.raises(aejax.InputError, match="format 99.*reads format 1"):
        arrays.parts(facts | {"format": 99}, known)
    with pytest.raises(aejax.InputError, match="no array of 'net/code/latent_bias'"):
        arrays.parts(facts, {n: a for n, a in known.items() if "latent_bias" not in n})
    wider = {n: a[:1] if "output_bias" in n else a for n, a in known.items()}
    with pytest.raises(aejax.InputError, match="shape .* of 'net/output_bias'"):
        arrays.parts(facts, wider)
