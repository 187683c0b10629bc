"""Training data on the devices: whole, once; or block by block, read ahead."""

from collections.abc import Iterator

from aejax import data as datasets
from aejax import model as model_lib
from aejax import population, train


class Feed:
    """Gives a population the data of each visit.

    Attributes:
      last: what was given last; its held splits are the same for all visits.
    """

    def __init__(self, lanes_on: population.Population):
        self._lanes, self._source = lanes_on, lanes_on.group.source
        held = (self._source.held, self._source.output_bias)
        self._held = lanes_on.put(held)
        self._visit, self.last, self._ahead = None, None, None

    def __call__(self, visit: int) -> train.Data:
        """The data of a visit; the same object for all visits if it is whole."""
        whole = self._source.blocks == 1
        if self.last is None or (not whole and visit != self._visit):
            if whole:
                block = self._source.block(0)
            else:
                if self._ahead is None or visit != self._visit + 1:
                    self.close()
                    self._ahead = datasets.Prefetch(self._blocks(visit))
                block = next(self._ahead)
            held, bias = self._held
            self.last = None  # lets go of the block before
            self.last = train.Data(self._lanes.put(block), held, bias)
            self._visit = visit
        return self.last

    def _blocks(self, visit: int) -> Iterator[model_lib.Batch]:
        while True:
            yield self._source.block(visit)
            visit += 1

    def close(self) -> None:
        """Stops reading ahead."""
        if self._ahead is not None:
            self._ahead.close()
