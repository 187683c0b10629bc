"""Known manifolds are what they say."""

import numpy as np
import pytest

from aejax import config, data
from aejax.data import manifolds, prepare


@pytest.mark.parametrize("name", manifolds.MANIFOLDS)
def test_known_manifolds_are_what_they_say(name):
    from scipy import spatial

    known, d = manifolds.MANIFOLDS[name], data.load(name)
    assert [s.x.shape for s in d[1:4]] == [(n, known.size) for n in (4000, 500, 1000)]
    assert (d.train.x.dtype, d.likelihood, d.scale) == (np.float32, "gaussian", 1)
    shape, *_ = next(e[1:] for e in data.describe() if e[0] == name)
    assert shape == (known.size,)
    for again, part in zip(data.load(name)[1:4], d[1:4], strict=True):
        np.testing.assert_array_equal(again.x, part.x)
    # The directions in which a point can move, and nothing else, by differences.
    u = np.random.default_rng(0).uniform(0.4, 0.6, known.dim)
    steps = np.vstack([u, u + 1e-6 * np.eye(known.dim)])
    points = known.point(*steps.T)
    assert np.linalg.matrix_rank((points[1:] - points[0]) / 1e-6, 1e-3) == known.dim
    if known.dim <= 2:  # the noise is all that keeps x off the manifold
        off = spatial.cKDTree(manifolds.points(name, 10**6)).query(d.test.x)[0]
        normal = np.sqrt(np.square(off).mean() / (known.size - known.dim))
        assert normal == pytest.approx(known.noise, rel=0.1)
    with pytest.raises(config.InputError, match="is drawn whenever it is loaded"):
        prepare.prepare(name)


@pytest.mark.parametrize("name", ("spiral", "helix", "circles"))
def test_points_of_a_curve_are_evenly_spread(name):
    steps = np.linalg.norm(np.diff(manifolds.points(name, 3000), axis=0), axis=1)
    assert np.quantile(steps, 0.99) < 1.2 * np.quantile(steps, 0.01)
