"""VAE: its loss is the negative ELBO, with the KL in closed form."""

import jax
import numpy as np

from tests.objectives.common import Case, close, mean_is, run
from tests.objectives.ppca import OFF, bounds, gap, linear


def test_the_loss_is_the_negative_elbo():
    case, key = Case("vae"), jax.random.key(1)
    nll, _, _, mu, logvar = case.elbo(case.params, key)
    kl = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum(1)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["nll"], nll.mean())
    close(metrics["kl"], kl.mean())
    close(total, (nll + kl).mean())


def test_the_elbo_is_log_p_of_x_less_the_gap():
    """Of PPCA, whose log p(x) and exact posterior are known."""
    _, log_p = linear("vae")
    mean_is(bounds("vae", 1000), log_p.mean() - gap(*OFF))
