"""Identities that many objectives must obey, one table each; a new one is in by itself.

Where a paper's own formula asks for it, an objective has an entry in a table here.
"""

import pathlib

import jax
import numpy as np
import pytest

import aejax
from aejax import objectives
from tests.objectives import digits
from tests.objectives.common import NEUTRAL, Case, close, keys, run
from tests.objectives.ppca import D, linear, ppca

OBJECTIVES = {name: objectives.OBJECTIVES[name] for name in objectives.OBJECTIVES}
FOLDER = pathlib.Path(__file__).parent


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_has_an_oracle(name):
    path = FOLDER / f"test_{name}.py"
    assert path.is_file(), f"write {path.name}: an independent computation of {name}"
    assert "def test_" in path.read_text()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_says_its_paper_and_digits(name):
    objective, title = OBJECTIVES[name], objectives.OBJECTIVES.title(name)
    assert any(ch.isdigit() for ch in title), "the docstring names paper and year"
    settings, metric, expected, tolerance = digits.DIGITS[name]
    assert metric in ("loss", "mse") and 0 < tolerance < 0.35 * expected
    assert set(settings) <= {*aejax.Config().to_json(), *objective.defaults}
    assert objective.check(objective.defaults, 64) == objective.defaults


# Their priors cannot be the standard one; their oracles have log weights of their own.
OTHER_PRIORS = ("vamp_vae", "hierarchical_vae")
WITH_WEIGHTS = [
    n for n, o in OBJECTIVES.items() if o.log_weight and n not in OTHER_PRIORS
]
PLAIN = {"flow_vae": {"num_flows": 0}}  # where the posterior is the encoder's


def exact(case):
    """PPCA's parameters, with zeros for labels, critics and a flow's context."""
    params = ppca()
    code, heads = params["net"]["code"], case.params["net"]["code"]
    for name, leaf in heads.items():
        pad = [(0, b - a) for a, b in zip(code[name].shape, leaf.shape, strict=True)]
        code[name] = np.pad(code[name], pad)
    if case.batch.y is not None:
        zeros = np.zeros((2, D), np.float32)
        params["net"]["decode_label"] = {"kernel": zeros}
    return params | {"extra": jax.tree.map(np.zeros_like, case.params["extra"])}


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_draws_of_the_exact_posterior_weigh_p_of_x(name):
    case, log_p = linear(name, **PLAIN.get(name, {}))
    params = exact(case)
    weights = run(jax.vmap(lambda key: case.log_weight(params, key)), keys(5))
    assert weights.shape == (5, 16)
    close(weights, np.tile(log_p, (5, 1)))
    if "num_samples" in case.hp:  # the loss is the bound, tight at any number
        close(run(lambda key: case.loss(params, key)[0], keys(1)[0]), -log_p.mean())


VARIATIONAL = [n for n, o in OBJECTIVES.items() if o.kl_control]
WEIGHT = {"info_vae": 0.5}  # of the KL in the loss, where it is not beta
LAYERS = {"hierarchical_vae": 2}  # that have free bits


def kl_in_loss(name, plain, metrics, weight):
    """What the KL contributes to the loss where nothing controls it."""
    if name == "beta_tc_vae":
        return metrics["information"] + 6 * metrics["tc"] + metrics["dimension_kl"]
    if "num_samples" in OBJECTIVES[name].defaults:  # a draw's, not the closed form
        return plain - metrics["nll"]
    return weight * metrics["kl"]


@pytest.mark.parametrize("name", VARIATIONAL)
def test_variational_objectives_obey_their_kl_control(name):
    """At half the weight half the KL is missing; free bits count in full."""
    objective = OBJECTIVES[name]
    classes = 3 if "labels" in objective.needs else 0
    single = {"num_samples": 1} if "num_samples" in objective.defaults else {}
    case = Case(name, classes=classes, **single)
    settings = [{"kl_warmup": 0.0}, {"kl_warmup": 0.02}]  # of 100 steps, at the first
    settings += [{"beta": 3.0}] * ("beta" in objective.kl_control)
    settings += [{"free_bits": 50.0}] * ("free_bits" in objective.kl_control)
    names = {n for s in settings for n in s}
    table = [{n: NEUTRAL[n] for n in names} | s for s in settings]
    traced = {n: np.array([s[n] for s in table], np.float32) for n in names}

    def one(hp):
        return case.loss(case.params, jax.random.key(1), case.model_at(0), **hp)

    (plain, half, *others), metrics = run(jax.vmap(one), traced)
    weight = WEIGHT.get(name, case.hp.get("beta", 1.0))
    kl = kl_in_loss(name, plain, {n: v[0] for n, v in metrics.items()}, weight)
    close(plain - half, kl / 2, atol=1e-4)
    assert abs(kl) > 0.2
    if "beta" in objective.kl_control:
        close(others[0] - plain, 2 * kl, atol=1e-4)
    if "free_bits" in objective.kl_control:
        floor = 50.0 * 3 * LAYERS.get(name, 1) * weight
        close(others[-1] - plain, floor - kl, rtol=1e-4)
