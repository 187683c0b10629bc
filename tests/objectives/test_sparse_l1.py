"""Sparse autoencoder by L1: a penalty that no change of scale makes cheaper."""

import jax
import numpy as np
import pytest

from tests.objectives.common import Case, close, run


def test_the_penalty_by_hand():
    """Of the code's absolute values, each times the norm of its decoder row."""
    case = Case("sparse_l1", weight=0.7, hidden=(), size=4096)
    code = run(lambda p: case.model.encode(p, case.batch), case.params)
    relu = np.maximum(code[:, :3].astype(np.float64), 0)
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    rows = case.params["net"]["decode_code"]["latent_kernel"][:3, 0]
    l1 = (relu * np.linalg.norm(rows.astype(np.float64), axis=1)).sum(1).mean()
    close(metrics["l1"], l1, rtol=0.05)  # of 4,096 vectors of signs
    close(metrics["active"], (relu > 0).mean())
    close(total, metrics["nll"] + 0.7 * metrics["l1"])


def layers(net, where):
    """The layer that is scaled down and, after a relu, the one that makes up for it."""
    if where == "code":
        return net["code"], net["decode_code"]["latent_kernel"]
    return net["decode_code"], net["decoder_1"]["kernel"]


@pytest.mark.parametrize("where", ["code", "layer"])
def test_no_scale_of_code_or_layers_changes_it(where):
    """Else it could be had for nothing, the autoencoder staying the same."""
    case = Case("sparse_l1", hidden=(7, 6), activation="relu")
    net, results, key = case.params["net"], [], jax.random.key(0)
    bias = "latent_bias" if where == "code" else "bias"
    for size in (1.0, 0.1, 0.01):
        scaled = jax.tree.map(np.copy, net)
        smaller, larger = layers(scaled, where)
        smaller["latent_kernel"] *= size
        smaller[bias] *= size
        larger /= size
        params = case.params | {"net": scaled}
        loss = jax.value_and_grad(lambda p: case.loss(p, key), has_aux=True)
        (total, metrics), grads = run(loss, params)
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
        results.append((total, metrics))
        # Along such a scale the loss does not change: its derivative there is 0.
        slopes = jax.tree.map(lambda g, p: (g * p).sum(), grads["net"], scaled)
        down, up = layers(slopes, where)
        close(sum(down.values()), up, rtol=1e-3, atol=1e-4)
    for other in results[1:]:
        close(other, results[0], rtol=1e-4)
    assert results[0][1]["l1"] > 0.1
