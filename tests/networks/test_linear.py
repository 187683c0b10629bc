"""Linear networks: affine maps, and what a tied kernel refuses."""

import re

import jax
import numpy as np
import pytest

from aejax import networks
from tests.networks.common import BATCH, B, drawn, make_model, make_spec


def test_linear_networks_are_affine_maps_and_one_stage():
    linear, tied = make_model("linear"), make_model("linear_tied")
    assert len(linear.stages) == len(tied.stages) == 1

    @jax.jit
    def run(params, tied_params):
        mu, _ = tied.encode(tied_params, BATCH)
        by_stage = tied.stages[0][1](tied_params, mu)
        return linear.encode(params, BATCH), mu, tied.decode(tied_params, mu), by_stage

    params, tied_params = drawn(linear), drawn(tied)
    codes, mu, decoded, by_stage = run(params, tied_params)
    x, mask = BATCH.x.reshape(B, -1), linear.latent_mask
    net = params["net"]["code"]
    for i, code in enumerate(codes):
        want = (
            x @ net["latent_kernel"][:, i].T + net["latent_bias"][None, :, i]
        ) * mask
        np.testing.assert_allclose(code, want, atol=1e-5)
    kernel = tied_params["net"]["code"]["latent_kernel"][:, 0]
    want = mu @ kernel + tied_params["net"]["output_bias"].reshape(1, -1)
    np.testing.assert_allclose(decoded.reshape(B, -1), want, atol=1e-5)
    np.testing.assert_array_equal(by_stage, decoded)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"inputs": 2}, "one code .* not 2 and 1; use --network linear"),
        ({"outputs": 4}, "one number .* not 1 and 4; use --network linear"),
        ({"num_classes": 3}, "no place for labels; use --network linear"),
    ],
)
def test_tied_weights_refuse_what_cannot_be_tied(changes, reason):
    said = networks.NETWORKS["linear_tied"].check(make_spec("linear_tied", **changes))
    assert said is None if reason is None else re.search(reason, said)
