"""How much work goes into one dispatch, so that none takes longer than a few seconds.

Only the cutting depends on the clock of the wall; results do not depend on the cutting.
"""

import math

SECONDS = 2.0  # aimed at per dispatch


class Pace:
    """Seconds per round and step of one population, learned from its dispatches.

    Units of ``unit`` steps are not cut; they start anew with each pass of
    ``pass_steps``. ``rounds`` is the number of lane batches per device.
    """

    def __init__(self, unit: int, pass_steps: int, rounds: int):
        self._unit, self._pass, self._rounds = unit, pass_steps, rounds
        self._rate: float | None = None

    def next_stop(self, step: int, bound: int) -> int:
        """Where the next stretch from ``step`` ends: at a unit's end, by ``bound``."""
        want = 1
        if self._rate is not None:
            want = int(SECONDS / max(self._rate * self._rounds, 1e-9))
        if step + want >= bound:
            return bound
        nearest = step - step % self._pass % self._unit + self._unit
        nearest = min(nearest, step - step % self._pass + self._pass)
        last = step + want - (step + want) % self._pass % self._unit
        return min(max(nearest, last), bound)

    def next_rounds(self, low: int, steps: float) -> range:
        """The rounds from ``low`` that fit into one dispatch of so many steps."""
        if self._rate is None:
            return range(low, low + 1)
        fit = int(SECONDS / max(self._rate * max(steps, 1), 1e-9))
        return range(low, min(self._rounds, low + max(fit, 1)))

    def learn(self, seconds: float, rounds: int, steps: float) -> None:
        """Takes one dispatch into account."""
        rate = seconds / (rounds * max(steps, 1))
        old = self._rate
        self._rate = rate if old is None else math.sqrt(max(old, 1e-12) * rate)
