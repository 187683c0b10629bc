"""Several devices share each batch: the same numbers, but for rounding."""

import jax
import numpy as np
import pytest

import aejax
from aejax.runs import plan
from aejax.training import program
from experiments import sweep

BASE = aejax.Config(hidden=(16,), batch_size=64, epochs=2, eval_every=1, latent_dim=4)


# A critic on codes that are permuted within the batch; a codebook of running means.
@pytest.mark.parametrize("objective", ["factor_vae", "vq_vae"])
def test_numbers_are_those_of_one_device(objective):
    axes = {"seed": [0, 1]}
    config = BASE.replace(objective=objective)
    one = aejax.sweep(config, axes, devices=jax.devices()[:1])
    two = aejax.sweep(config.replace(data_parallel=2), axes, devices=jax.devices()[:4])
    assert len(one.rows) == len(two.rows)
    for ours, theirs in zip(two.rows, one.rows, strict=True):
        for name, value in theirs.items():
            if isinstance(value, float):
                assert ours[name] == pytest.approx(value, rel=2e-3, abs=1e-4), name
            else:
                assert ours[name] == value


def test_batches_lie_over_the_devices():
    """In the compiled program: gradients are summed, and a step takes less memory."""
    sizes = {}
    for shared in (1, 4):
        config = BASE.replace(
            data_parallel=shared, batch_size=512, hidden=(256,), epochs=1
        )
        (planned,) = plan.plan(config, {"seed": [0, 1]}).populations
        one = program.Program(planned, jax.devices()[:shared], 2)
        assert ("all-reduce" in one._program.as_text()) == (shared > 1)
        sizes[shared] = one._program.memory_analysis().temp_size_in_bytes
    assert sizes[4] < 0.6 * sizes[1]


def test_a_step_is_the_gradient_of_the_whole_batch():
    """One step of SGD on 64 examples, on one, two and four devices."""
    config = BASE.replace(optimizer="sgd", batch_size=1000, epochs=1, objective="vae")
    params = []
    for shared in (1, 2, 4):
        run = aejax.sweep(
            config.replace(data_parallel=shared), devices=jax.devices()[:shared]
        )
        params.append(run.model().params)
    for other in params[1:]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            params[0],
            other,
        )


def test_what_cannot_be_shared(capsys):
    with pytest.raises(aejax.InputError, match="data_parallel is 4, but there are 2"):
        aejax.sweep(BASE.replace(data_parallel=4), devices=jax.devices()[:2])
    with pytest.raises(aejax.InputError, match="batch_size is 64, which 3 devices"):
        aejax.sweep(BASE.replace(data_parallel=3), devices=jax.devices()[:3])
    with pytest.raises(aejax.InputError, match="cannot be swept"):
        aejax.sweep(BASE, {"data_parallel": [1, 2]})
    words = "--preset smoke --data-parallel 2 --devices 4 --dry-run".split()
    assert sweep.main(words) == 0
    assert "4 × (" in capsys.readouterr().out
