"""Shapes that functions declare, checked here and not where users run."""

import beartype.roar
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from aejax import corruptions, likelihoods, losses, model, objectives
from tests import checker
from tests.objectives import common

KEY = jax.random.key(0)
ONES = jnp.ones((8, 5))
CASE = common.Case("vae")  # batches of 8, Z = 5, data of 6
DATA = jnp.ones((8, 6))


def refused(function, *args):
    """By the checker, whose error is none of the product's."""
    with pytest.raises(jaxtyping.TypeCheckError):
        function(*args)


def test_equal_signatures_alone_share_their_check():
    def checked(shape, type=jax.Array):
        def function(x: jaxtyping.Float[type, shape] | int):
            return x

        return checker.once(function)

    first = checked("8 5")
    assert first is checked("8 5")
    for other in (checked("5 8"), checked("8 5", np.ndarray)):
        assert other is not first and other(1) == 1
        with pytest.raises(beartype.roar.BeartypeCallHintParamViolation):
            other(ONES)
    assert first(ONES) is ONES


LOSSES = {
    "gaussian_kl": (ONES, ONES[:, :1]),
    "gaussian_nll": (ONES, ONES, ONES[0]),
    "laplace_nll": (ONES, ONES, ONES[:, :1]),
    "student_t_nll": (ONES, ONES, 0.0, ONES[:1]),
    "categorical_nll": (ONES, ONES[..., None]),  # labels are integers
    "log_weight": (ONES, ONES, ONES, ONES),
    "mmd": (ONES, DATA, 1.0),
    "reparametrize": (jax.random.split(KEY), ONES, ONES),
    "valid_steps": (ONES, jnp.ones(7, int)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_refuses_a_wrong_shape(name):
    refused(getattr(losses, name), *LOSSES[name])


def test_a_loss_takes_numpy_traced_values_and_numbers():
    x, one = np.ones((8, 5), np.float32), np.float32(1)
    for scale in (0.0, one, jnp.float32(0), jnp.zeros((8, 5))):
        assert losses.gaussian_nll(x, jnp.ones((8, 5)), scale).shape == (8,)
    traced = jax.jit(jax.vmap(losses.squared_error, in_axes=(0, None)))
    assert traced(np.ones((3, 8, 5), np.float32), x).shape == (3, 8)


@pytest.mark.parametrize("name", likelihoods.LIKELIHOODS)
def test_a_likelihood_refuses_what_it_would_broadcast(name):
    likelihood = likelihoods.LIKELIHOODS[name](1.0)
    extra = likelihood.shared.start(jnp.float32(1.0)).size if likelihood.shared else 0
    decoded = jnp.ones((8, 6, likelihood.outputs + extra))
    assert likelihood.nll(model.Batch(DATA), decoded).shape == (8,)
    refused(likelihood.nll, model.Batch(DATA[:1]), decoded)
    refused(likelihood.nll, model.Batch(DATA), decoded[:, :1])


def test_a_corruption_refuses_a_level_per_example():
    refused(corruptions.gaussian, KEY, DATA, jnp.ones((8, 1)))
    refused(corruptions.masking, jax.random.split(KEY), DATA, 0.5)


MODEL = {
    "decode": (CASE.params, jnp.ones(5)),
    "sample": (KEY, ONES, ONES[:, :1]),
    "noise": (jax.random.split(KEY), 8),
    "decoder_norms": (CASE.params, ONES[None], CASE.batch, KEY),
    "error": (model.Batch(DATA), jnp.ones(8)),
    "log_weight": (CASE.params, CASE.batch, jax.random.split(KEY)),
    "kl": (jnp.ones((8, 5, 1)),),
}


@pytest.mark.parametrize("name", MODEL)
def test_a_model_refuses_a_wrong_shape(name):
    refused(getattr(CASE.model, name), *MODEL[name])


def test_codes_of_several_heads_have_one_shape():
    refused(CASE.model.decode, CASE.params, (ONES, ONES[:7]))


def test_a_mask_is_a_row():
    refused(model.build, None, jnp.ones(5), model.Clock(0, 100, 1000))


def test_a_loss_that_forgets_a_mean_is_caught():
    unreduced = CASE.model._replace(kl=lambda kl: kl)
    with pytest.raises(jaxtyping.TypeCheckError, match=r"objectives\.vae\.loss"):
        CASE.objective.loss(unreduced, CASE.params, CASE.batch, KEY)


def test_a_prior_of_another_number_is_caught():
    case = common.Case("vamp_vae", components=4)
    fewer = case.model._replace(sample=lambda key, mu, logvar: mu[1:])
    with pytest.raises(jaxtyping.TypeCheckError, match=r"vamp_vae\.prior"):
        case.objective.prior(fewer, case.params, KEY, 8, None)


@pytest.mark.parametrize("name", objectives.OBJECTIVES)
def test_an_objective_declares_what_it_gives(name):
    """In this package; a user's file need not, and is refused by ``guard``."""
    objective = objectives.OBJECTIVES[name]
    for function in (
        objective.loss,
        objective.code,
        objective.prior,
        objective.log_weight,
    ):
        if getattr(function, "__module__", "").endswith(name):
            assert "return" in function.__annotations__


def test_the_product_has_no_checker(imported):
    code = """
import aejax
from aejax import corruptions, likelihoods, losses, model
aejax.OBJECTIVES["vae"], aejax.NETWORKS["mlp"], aejax.sweep
losses.gaussian_kl.__annotations__["mu"]
"""
    assert imported(code, ["beartype", "jaxtyping", "typeguard"]) == "['jaxtyping']"
