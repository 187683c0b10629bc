"""RAE-L2: half the codes' squares, and the squares of the decoder's parameters."""

import jax
import numpy as np

from tests.objectives.common import Case, close, run


def test_penalties_by_hand():
    case = Case("rae_l2", beta=0.3, weight=0.05)
    code = run(lambda p: case.model.encode(p, case.batch), case.params)
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    half = 0.5 * np.square(code.astype(np.float64)).sum(1).mean()
    net = {n: w for n, w in case.params["net"].items() if n.startswith("decode")}
    assert set(net) == {"decode_code", "decoder_0"}
    l2 = sum(np.square(w.astype(np.float64)).sum() for w in jax.tree.leaves(net))
    close(total, metrics["nll"] + 0.3 * half + 0.05 * l2)


def test_a_tied_kernel_is_penalised_too():
    case = Case("rae_l2", network="linear_tied", weight=0.05, beta=0.0)
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    l2 = np.square(case.params["net"]["code"]["latent_kernel"][:, 0]).sum()
    close(metrics["l2"], l2)
    close(total, metrics["nll"] + 0.05 * l2)
