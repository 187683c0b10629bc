"""VampPrior: a mixture of the posteriors of pseudo-inputs."""

import jax
import numpy as np
import scipy.special

from aejax import model
from tests.objectives.common import Case, close, mean_is, norm, run


def test_the_prior_is_the_mixture_of_pseudo_inputs():
    case, key = Case("vamp_vae", components=4), jax.random.key(1)
    nll, _, z, mu, logvar = case.elbo(case.params, key)

    def components(params):
        return case.model.encode(params, model.Batch(params["extra"]["pseudo"]))

    mu_c, logvar_c = (a[:, :3].astype(np.float64) for a in run(components, case.params))
    sigma_c = np.exp(logvar_c / 2)
    each = norm.logpdf(z[:, None], mu_c[None], sigma_c[None]).sum(-1)  # (B, C)
    log_p = scipy.special.logsumexp(each, axis=1) - np.log(4)
    log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
    close(run(case.log_weight, case.params, key), log_p - log_q - nll)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["kl"], (log_q - log_p).mean())
    close(total, (nll + log_q - log_p).mean())
    draws = run(
        lambda key: case.objective.prior(case.model, case.params, key, 20_000, None),
        key,
    )
    assert (draws[:, 3:] == 0).all()
    mean_is(draws[:, :3], mu_c.mean(0))
    variance = (sigma_c**2 + mu_c**2).mean(0) - mu_c.mean(0) ** 2
    mean_is(np.square(draws[:, :3] - mu_c.mean(0)), variance)
    across = ((mu_c - mu_c.mean(0))[:, 0] * (mu_c - mu_c.mean(0))[:, 1]).mean()
    mean_is(np.prod(draws[:, :2] - mu_c.mean(0)[:2], axis=1), across)

    def init(batch):
        return case.objective.init(case.model, None, batch, key, components=9)

    inputs = run(init, case.batch)["extra"]["pseudo"]
    close(inputs, case.batch.x[[0, 0, *range(1, 8)]], atol=0.05)
