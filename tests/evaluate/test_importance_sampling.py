"""log p(x) by importance sampling: PPCA's closed form, float64, counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import evaluate
from tests.objectives.common import close, mean_is, run
from tests.objectives.ppca import OFF, linear, ppca, trained


@pytest.fixture(scope="module")
def trained_ppca(tmp_path_factory):
    """A Trained of the vae on PPCA data, with parameters off the optimum."""
    case, _ = linear("vae", size=512)
    path = tmp_path_factory.mktemp("ppca") / "x.npz"
    return trained(path, case.batch.x, ppca(*OFF))


def test_importance_sampling_hits_log_p_of_x(trained_ppca):
    """With a wrong q that covers the posterior; the error it states is its own."""
    case, log_p = linear("vae", size=512)
    x, key = case.batch.x, jax.random.key(0)
    result = evaluate.log_likelihood(trained_ppca, x, key=key, samples=300)
    off = (result.nll + log_p) / result.error
    assert np.abs(off).max() < 5 and 0.8 < np.sqrt(np.mean(off**2)) < 1.2
    mean_is(result.nll + log_p - result.error**2 / 2, 0.0)  # a log's bias, known too
    assert (result.ess > 30).all() and (result.ess < 300).all()
    assert (result.nll + log_p).std() < 0.2, "and it is close"
    one = evaluate.log_likelihood(trained_ppca, x, key=key, samples=1)
    close(one.ess, np.ones(512))
    close(one.error, np.zeros(512), atol=1e-3)


@pytest.mark.parametrize("size", [3, 1500])
def test_streamed_uses_as_many_draws_as_asked_for(size):
    """Mistake 2. Draws of equal weight w count for one each, and give -log w."""
    log_w = np.linspace(-2000, 300, size, dtype=np.float32)
    draws_asked = np.array([1, 2, 7, 1000, 8193])
    result = run(
        lambda samples: jax.lax.map(
            lambda n: evaluate.streamed(
                lambda key: jnp.asarray(log_w), jax.random.key(0), n, size
            ),
            samples,
        ),
        draws_asked,
    )
    close(result.ess, np.tile(draws_asked[:, None], (1, size)))
    close(result.nll, np.tile(-log_w, (5, 1)), atol=3e-4)
    close(result.error, np.zeros((5, size)), atol=1e-3)


def test_streamed_equals_float64_on_the_same_weights():
    """The n-th weight is what the sum over n draws has more than that over n - 1."""
    size, largest = 1500, 23  # five rows at once
    offset = np.zeros(size)
    offset[:3] = -3000, -90, 500
    draws_asked = np.arange(1, largest + 1)

    def streamed(samples, log_w):
        return evaluate.streamed(log_w, jax.random.key(3), samples, size)

    def draw(key):
        return jax.random.normal(key, (size,)) + jnp.asarray(offset, jnp.float32)

    result = run(lambda n: jax.lax.map(lambda m: streamed(m, draw), n), draws_asked)
    nll, error, ess = (a.astype(np.float64) for a in result)
    sums = np.exp(-nll - offset + np.log(draws_asked)[:, None])
    sums[:, [0, 2]] = np.nan  # 3,000 nats: float32 resolves 1e-4 there
    weights = np.diff(sums, axis=0, prepend=0)
    fresh = np.log(weights[:, 3:])
    mean_is(fresh.ravel(), 0.0)
    mean_is(np.square(fresh).ravel(), 1.0)
    assert np.abs(np.corrcoef(fresh) - np.eye(largest)).max() < 6 / np.sqrt(size)
    total, square = np.cumsum(weights, 0), np.cumsum(weights**2, 0)
    count = draws_asked[:, None]
    close(ess[:, 3:], (total**2 / square)[:, 3:], rtol=1e-3)
    spread = np.sqrt(np.maximum(square / count - (total / count) ** 2, 0))
    want = spread / (total / count) / np.sqrt(count)
    close(error[:, 3:], want[:, 3:], rtol=2e-3, atol=1e-3)
    assert np.isfinite([nll, error, ess]).all()
