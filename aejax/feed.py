"""Training data on the devices: whole, once; or block by block, one read ahead."""

from concurrent import futures

from aejax import population, source


class Feed:
    """Gives a population the data of each visit, one visit after the other.

    Attributes:
      last: what was given last; its held splits are the same for all visits.
    """

    def __init__(self, lanes_on: population.Population):
        self._lanes, self._source = lanes_on, lanes_on.group.source
        self._held = lanes_on.put((self._source.held, self._source.output_bias))
        self._pool = futures.ThreadPoolExecutor(1)
        self._visit, self._ahead, self.last = None, None, None

    def __call__(self, visit: int) -> source.Data:
        """The data of a visit; the same object for all visits if it is whole."""
        whole = self._source.blocks == 1
        if self.last is None or (not whole and visit != self._visit):
            ahead = self._ahead or self._pool.submit(self._source.block, visit)
            block = ahead.result()
            self.last = None  # lets go of the block before
            self.last = source.Data(self._lanes.put(block), *self._held)
            self._visit = visit
            if not whole:
                self._ahead = self._pool.submit(self._source.block, visit + 1)
        return self.last

    def close(self) -> None:
        """Stops reading ahead."""
        self._pool.shutdown(cancel_futures=True)
