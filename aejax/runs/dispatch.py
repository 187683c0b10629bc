"""How much work goes into one call of a program, so that none takes more than seconds.

Only the cutting depends on the clock of the wall; results do not depend on the cutting.
"""

import math

# Aimed at per call: between two calls a run can be stopped, saved and shown, and what a
# call costs beside its work, some milliseconds, is lost in it.
SECONDS = 2.0


class Pace:
    """Seconds per batch of members and step, learned from a program's calls.

    Chunks of ``chunk`` steps are not cut; they start anew with each block of
    ``block_steps``. ``batches`` are those of vmapped members on a device.
    """

    def __init__(self, chunk: int, block_steps: int, batches: int):
        self._chunk, self._block, self._batches = chunk, block_steps, batches
        self._rate: float | None = None

    def next_stop(self, step: int, bound: int) -> int:
        """Where the next call from ``step`` ends: at a chunk's end, by ``bound``."""
        want = 1
        if self._rate is not None:
            want = int(SECONDS / max(self._rate * self._batches, 1e-9))
        if step + want >= bound:
            return bound
        nearest = step - step % self._block % self._chunk + self._chunk
        nearest = min(nearest, step - step % self._block + self._block)
        last = step + want - (step + want) % self._block % self._chunk
        return min(max(nearest, last), bound)

    def next_batches(self, low: int, steps: float) -> range:
        """The batches from ``low`` that fit into one call of so many steps."""
        if self._rate is None:
            return range(low, low + 1)
        fit = int(SECONDS / max(self._rate * max(steps, 1), 1e-9))
        return range(low, min(self._batches, low + max(fit, 1)))

    def learn(self, seconds: float, batches: int, steps: float) -> None:
        """Takes one call into account.

        The geometric mean with what was known: a rate is as likely to be half as it is
        to be twice what was measured, and the first call is slow by orders.
        """
        rate = seconds / (batches * max(steps, 1))
        known = self._rate
        self._rate = rate if known is None else math.sqrt(max(known, 1e-12) * rate)
