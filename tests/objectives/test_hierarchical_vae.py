"""Hierarchical VAE: the log densities of two layers."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from tests.objectives.common import Case, close, norm, run


def test_it_sums_the_log_densities_of_both_layers():
    case, key = Case("hierarchical_vae"), jax.random.key(1)
    apply = case.model.mlp((), 2, latent_in=True, latent_out=True)[1]

    def parts(params):
        key_1, key_2 = jax.random.split(key)
        one = case.model.encode(params, case.batch)
        z_1 = case.model.sample(key_1, *one)
        two = apply(params["extra"]["up"], z_1)
        z_2 = case.model.sample(key_2, *two)
        down = apply(params["extra"]["down"], z_2)
        decoded = case.model.decode(params, z_1, case.batch)
        nll = case.model.likelihood.nll(case.batch, decoded)
        return nll, z_1, z_2, *one, *two, *down

    nll, *code = run(parts, case.params)
    code = [a[:, :3].astype(np.float64) for a in code]
    z_1, z_2, mu_1, logvar_1, mu_2, logvar_2, mu_p, logvar_p = code

    def log(z, mu=0.0, logvar=0.0):
        return norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)

    upper = log(z_1, mu_1, logvar_1) - log(z_1, mu_p, logvar_p)
    want = -nll - upper + log(z_2) - log(z_2, mu_2, logvar_2)
    close(run(case.log_weight, case.params, key), want)
    kl_2 = 0.5 * (mu_2**2 + np.exp(logvar_2) - 1 - logvar_2).sum(1)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["kl_2"], kl_2.mean())
    close(total, (nll + upper + kl_2).mean())
    draws = run(
        lambda key: case.objective.prior(case.model, case.params, key, 4000, None), key
    )
    eps = jax.random.split(jax.random.key(9))

    def ancestral(params):
        z_2 = jax.random.normal(eps[0], (4000, 5)) * case.model.latent_mask
        mu, logvar = apply(params["extra"]["down"], z_2)
        return mu + jnp.exp(logvar / 2) * jax.random.normal(eps[1], mu.shape)

    want = run(ancestral, case.params)
    for j in range(3):
        assert scipy.stats.ks_2samp(draws[:, j], want[:, j]).pvalue > 1e-4
    assert (draws[:, 3:] == 0).all()
