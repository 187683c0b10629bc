"""Seconds of a training step of a whole population."""

import statistics
import time
from typing import Any

READINGS = 5


def step(one: Any, data: Any, seconds: float) -> dict[str, float]:
    """Median, least and most of ``READINGS`` calls of about so many seconds.

    The program is placed and its members initialised by it; calls are of whole chunks.
    """
    spec = one.population.spec
    chunk, block = spec.chunk, spec.block_steps

    def spend(start: int, stop: int) -> float:
        began = time.perf_counter()
        one.advance(data, start, stop, 0, range(one.batches))  # waits for the device
        return time.perf_counter() - began

    spend(-1, chunk)
    want = seconds / spend(0, chunk) * chunk
    # Whole blocks, or whole chunks of one.
    steps = block * round(want / block)
    steps = steps or min(block, chunk * max(1, round(want / chunk)))
    spend(0, steps)
    times = [spend(0, steps) / steps for _ in range(READINGS)]
    return {
        "step_s": statistics.median(times),
        "low": min(times),
        "high": max(times),
        "steps": steps,
    }
