"""Conditional VAE: encoder, decoder and prior know the label."""

import jax
import numpy as np

import aejax
from aejax import autoencoder, evaluate
from aejax.runs import plan
from aejax.training import loop
from aejax.training import member as members
from tests.objectives.common import Case, close, keys, mean_is, norm, run


def test_the_kl_is_from_the_prior_of_the_label():
    case, key = Case("conditional_vae", classes=4), jax.random.key(1)
    nll, _, z, mu, logvar = case.elbo(case.params, key)
    table = {n: a[:3].astype(np.float64) for n, a in case.params["extra"].items()}
    y = case.batch.y
    mu_p, logvar_p = table["latent_mu"][:, y].T, table["latent_logvar"][:, y].T
    assert len(set(y)) > 2
    ratio = (np.exp(logvar) + (mu - mu_p) ** 2) / np.exp(logvar_p)
    kl = 0.5 * (logvar_p - logvar + ratio - 1).sum(1)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["kl"], kl.mean())
    close(total, (nll + kl).mean())
    log_p = norm.logpdf(z, mu_p, np.exp(logvar_p / 2)).sum(1)
    log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
    close(run(case.log_weight, case.params, key), log_p - log_q - nll)
    labels = np.arange(8000) % 4

    def prior(params, y):
        return case.objective.prior(case.model, params, key, 8000, y)

    draws = run(prior, case.params, labels)
    for c in range(4):
        got = draws[labels == c]
        mean_is(got[:, :3], table["latent_mu"][:, c])
        off = np.square(got[:, :3] - table["latent_mu"][:, c])
        mean_is(off, np.exp(table["latent_logvar"][:, c]))


def test_it_uses_the_labels_of_digits():
    config = aejax.Config(
        objective="conditional_vae",
        binarize="threshold",
        hidden=(32,),
        latent_dim=2,
        epochs=25,
    )
    planned = plan.plan(config, {})
    spec = planned.populations[0].spec
    source = planned.sources.source(spec)

    def fit(values, data):
        member = members.member(spec, values, data)
        return loop.train(spec, member, member.init(), 0, spec.steps).params

    params = run(fit, spec.hparams(spec.config), source.data())
    functions = autoencoder.functions(spec)
    fitted = autoencoder.Autoencoder(
        spec, spec.config, params, functions, spec.steps, lambda: source
    )
    x, y = source.evaluated.x[-250:], source.dataset.test.y
    shuffled = np.random.default_rng(0).permutation(y)
    right, wrong = (
        evaluate.log_likelihood(fitted, x, labels, key=keys(1)[0], samples=20)
        for labels in (y, shuffled)
    )
    assert right.nll.mean() + 1 < wrong.nll.mean()
