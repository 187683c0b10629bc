"""How much work goes into one call of a program."""

import numpy as np
import pytest

from aejax.runs import dispatch


@pytest.mark.parametrize("seed", range(150))
def test_calls_end_at_chunks_in_bounds_and_in_time(seed):
    """A run of any shape and speed, one goal after another, as ``job`` asks."""
    rng = np.random.default_rng(seed)
    block_steps = int(rng.integers(1, 400))
    chunk = -(-block_steps // -(-block_steps // 64))  # as TrainSpec.chunk
    batches = int(rng.integers(1, 9))
    speed = 10.0 ** rng.uniform(-7, 1.5)  # seconds per batch and step
    timer = dispatch.Pace(chunk, block_steps, batches)
    ends = {
        p * block_steps + u for p in range(40) for u in (*range(0, block_steps, chunk),)
    }
    step, calls = 0, 0
    for goal in np.cumsum(rng.integers(1, 5, 8)) * block_steps:
        while step < goal:
            stop = timer.next_stop(step, int(goal))
            assert step < stop <= goal and stop in ends
            assert isinstance(stop, int)
            whole = speed * batches * (stop - step)
            shortest = stop - step <= chunk
            assert shortest or calls < 2 or whole <= 1.001 * dispatch.SECONDS
            low = 0
            while low < batches:
                some = timer.next_batches(low, stop - step)
                assert some.start == low and some.step == 1
                assert low < some.stop <= batches
                spent = speed * len(some) * (stop - step)
                shortest = len(some) == 1 and stop - step <= chunk
                first = calls < 2
                assert shortest or first or spent <= 1.001 * dispatch.SECONDS
                timer.learn(spent, len(some), stop - step)
                low, calls = some.stop, calls + 1
            step = stop
    assert step == goal


def test_pace_grows_to_the_seconds_it_aims_at():
    timer = dispatch.Pace(chunk=10, block_steps=10, batches=1)
    assert timer.next_stop(0, 1000) == 10, "a careful start"
    timer.learn(0.1, 1, 10)
    want = dispatch.SECONDS / 0.01
    assert timer.next_stop(10, 10_000) == 10 + want
    assert timer.next_stop(10, 10 + int(want)) == 10 + want
    timer.learn(0.0, 1, 10)  # a clock that did not move
    assert timer.next_stop(0, 10**9) > 0
    assert timer.next_batches(0, 0.0) == range(0, 1)
