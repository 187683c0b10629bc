"""Seconds of a training step of a whole population."""

import statistics
import time
from typing import Any

READINGS = 5


def step(one: Any, data: Any, seconds: float) -> dict[str, float]:
    """Median, least and most of ``READINGS`` dispatches of about so many seconds.

    The population is placed and initialised by it; dispatches are of whole units.
    """
    recipe = one.group.recipe
    unit, most = recipe.unit, recipe.pass_steps

    def spend(start: int, stop: int) -> float:
        began = time.perf_counter()
        one.advance(data, start, stop, 0, range(one.rounds))  # waits for the device
        return time.perf_counter() - began

    spend(-1, unit)
    want = seconds / spend(0, unit) * unit
    # Whole passes, or whole units of one.
    steps = most * round(want / most) or min(most, unit * max(1, round(want / unit)))
    spend(0, steps)
    times = [spend(0, steps) / steps for _ in range(READINGS)]
    return {
        "step_s": statistics.median(times),
        "low": min(times),
        "high": max(times),
        "steps": steps,
    }
