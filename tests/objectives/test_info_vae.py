"""InfoVAE: the VAE's terms and the MMD of its codes, weighed by α and λ."""

import jax
import numpy as np

from tests.objectives.common import Case, close, is_the_vae_without, mmd, run


def test_it_adds_the_mmd_of_the_codes_in_use():
    case, key = Case("info_vae", kernel="imq"), jax.random.key(1)
    key_z, key_noise = jax.random.split(key)

    def samples():
        code = case.model.encode(case.params, case.batch)
        return case.model.sample(key_z, *code), case.model.noise(key_noise, 8)

    z, noise = (a[:, :3].astype(np.float64) for a in run(samples))
    total, metrics = run(lambda: case.loss(case.params, key))
    close(metrics["mmd"], mmd(z, noise, 6.0, "imq"))
    close(total, metrics["nll"] + 0.5 * metrics["kl"] + 9.5 * metrics["mmd"])


def test_without_the_mmd_it_is_the_vae():
    key = jax.random.key(4)
    key_z, _ = jax.random.split(key)
    is_the_vae_without("info_vae", key_z, key, alpha=0.0, weight=1.0)
