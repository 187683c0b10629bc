"""k-sparse autoencoder: the k largest pass."""

import numpy as np

from aejax.objectives import topk
from tests.objectives.common import Case, run, spied


def test_the_k_largest_pass_and_no_more_with_ties():
    case = Case("topk", k=4, z=7)
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 7)).astype(np.float32)
    z[10:20] = np.sign(z[10:20])  # ties between 1 and -1
    z[20:25] = 0.25
    z[:, 4:] = 0.0  # padded; larger than what is negative
    z[30:] = -np.abs(z[30:])
    for k in (1, 3, 4):
        got = run(spied(case, n=40), z, {"k": k})
        for row, kept in zip(z[:, :4], got, strict=True):
            active = np.nonzero(kept)[0]
            assert len(active) == k and (active < 4).all()
            np.testing.assert_array_equal(kept[active], row[active])
            others = np.delete(row, active)
            assert (kept[active].min() >= others).all()
        code = run(lambda z, k=k: topk.code(
            case.model._replace(encode=lambda p, b: z), None, None, k=k
        ), z)  # fmt: skip
        np.testing.assert_array_equal(code, got)
