"""Flow VAE: log-determinants are those of Jacobians, written out."""

import jax
import numpy as np
import pytest

from tests.objectives.common import Case, close, norm, run


def flow(case, params, z, context):
    """The code that the objective makes where the encoder gives these, (B, Z) both."""
    bound = case.model._replace(encode=lambda p, b: (z, None, context))
    return case.objective.code(bound, params, case.batch)


def jacobians(case, params, z, context):
    """(B, Z, Z), by forward differentiation of each example's flow."""

    def one(z, context):
        return flow(case, params, z[None], context[None])[0]

    return jax.vmap(jax.jacfwd(one))(z, context)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_all_dimensions_in_use_are_moved(k):
    case = Case("flow_vae", k=k, num_flows=3)
    first = 2 * case.model.noise(jax.random.key(0), 8)
    context = case.model.noise(jax.random.key(1), 8)

    def both(params, z, context):
        return flow(case, params, z, context), jacobians(case, params, z, context)

    z, jacobian = run(both, case.params, first, context)
    other, _ = run(both, case.params, first, -context)
    assert (np.abs(other - z)[:, :k].max(0) > 0.01).all(), "each x has its own flow"
    inside = jacobian[:, :k, :k].astype(np.float64)
    sign, log_det = np.linalg.slogdet(inside)
    assert (sign == 1).all() and np.abs(log_det).max() > 0.3
    assert (z[:, k:] == 0).all() and (jacobian[:, :k, k:] == 0).all()
    for i in range(k):  # each is moved by some layer, and others move with it
        assert np.abs(inside[:, i, i] - 1).max() > 0.01
    off = inside - inside * np.eye(k)
    assert (np.abs(off).max((0, 2)) > 0.01).all()


@pytest.mark.parametrize("k", [2, 3, 5])
def test_draws_are_weighed_by_the_change_of_variables(k):
    case, key = Case("flow_vae", k=k, num_flows=3), jax.random.key(1)
    _, _, first, mu, logvar = case.elbo(case.params, key)

    def moved(params, z):
        context = case.model.encode(params, case.batch)[2]
        jacobian = jacobians(case, params, z, context)
        z = flow(case, params, z, context)
        decoded = case.model.decode(params, z, case.batch)
        return z, jacobian, case.model.likelihood.nll(case.batch, decoded)

    padded = np.pad(np.float32(first), ((0, 0), (0, 5 - k)))
    z, jacobian, nll = run(moved, case.params, padded)
    log_det = np.linalg.slogdet(jacobian[:, :k, :k].astype(np.float64))[1]
    log_q = norm.logpdf(first, mu, np.exp(logvar / 2)).sum(1) - log_det
    want = norm.logpdf(z[:, :k]).sum(1) - nll - log_q
    close(run(case.log_weight, case.params, key), want, atol=3e-5)
    close(run(case.loss, case.params, key)[0], -want.mean(), atol=3e-5)
