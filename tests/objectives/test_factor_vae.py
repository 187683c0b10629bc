"""FactorVAE: a critic that tells codes from codes shuffled in each dimension."""

import jax
import numpy as np

from aejax import losses
from aejax.objectives import factor_vae
from tests.objectives.common import (
    Case,
    is_the_vae_without,
    run,
    scales_the_critic_alone,
    trains_apart,
)

softplus = jax.nn.softplus


def test_dimensions_are_shuffled_on_their_own():
    z = np.random.default_rng(0).normal(size=(64, 9)).astype(np.float32)
    key = jax.random.key(0)
    wide = run(factor_vae._shuffled, key, z)
    np.testing.assert_array_equal(np.sort(wide, axis=0), np.sort(z, axis=0))
    np.testing.assert_array_equal(run(factor_vae._shuffled, key, z[:, :4]), wide[:, :4])
    moved = [np.searchsorted(np.sort(z[:, j]), wide[:, j]) for j in range(9)]
    moved = [np.argsort(z[:, j])[m] for j, m in enumerate(moved)]
    for i in range(9):
        assert (moved[i] == np.arange(64)).mean() < 0.15, "nothing stays in place"
        for j in range(i):
            assert (moved[i] == moved[j]).mean() < 0.15, "no two move together"


def test_critic_and_autoencoder_train_apart():
    case, key = Case("factor_vae"), jax.random.key(1)
    critic = case.model.mlp((), 1, latent_in=True)[1]
    key_z, key_order = jax.random.split(key)

    def apart(params):
        mu, logvar = case.model.encode(params, case.batch)
        z = case.model.sample(key_z, mu, logvar)
        decoded = case.model.decode(params, z, case.batch)
        nll = case.model.likelihood.nll(case.batch, decoded).mean()
        kl = losses.gaussian_kl(mu, logvar).mean()
        joint = critic(params["extra"]["critic"], z)
        shuffled = factor_vae._shuffled(key_order, z)
        product = critic(params["extra"]["critic"], shuffled)
        bce = softplus(-joint) + softplus(product)
        return nll + kl + 5 * joint.mean(), 0.5 * bce.mean()

    trains_apart(case, key, apart)


def test_critic_rate_scales_the_critic_s_steps_alone():
    scales_the_critic_alone("factor_vae")


def test_without_the_critic_it_is_the_vae():
    key = jax.random.key(4)
    key_z, _ = jax.random.split(key)
    is_the_vae_without("factor_vae", key_z, key, gamma=0.0)
