"""Adversarial autoencoder: a critic that tells codes from the prior's draws."""

import jax

from tests.objectives.common import Case, scales_the_critic_alone, trains_apart

softplus = jax.nn.softplus


def test_critic_and_autoencoder_train_apart():
    case, key = Case("adversarial_ae"), jax.random.key(1)
    critic = case.model.mlp((), 1, latent_in=True)[1]

    def apart(params):
        z = case.model.encode(params, case.batch)
        decoded = case.model.decode(params, z, case.batch)
        nll = case.model.likelihood.nll(case.batch, decoded).mean()
        logit = critic(params["extra"]["critic"], z)
        prior = critic(params["extra"]["critic"], case.model.noise(key, 8))
        bce = softplus(-prior) + softplus(logit)
        return nll + softplus(-logit).mean(), 0.5 * bce.mean()

    trains_apart(case, key, apart)


def test_critic_rate_scales_the_critic_s_steps_alone():
    scales_the_critic_alone("adversarial_ae")
