"""Training data on the devices: whole, once; or block by block, one read ahead."""

from concurrent import futures

from aejax.training import program as programs
from aejax.training import source as sources


class Stream:
    """Gives a program the data of each block, one after the other.

    Attributes:
      last: what was given last; its evaluated splits are the same for all blocks.
    """

    def __init__(self, program: programs.Program, source: sources.Source):
        self._program, self._source = program, source
        self._evaluated = program.put((source.evaluated, source.output_bias))
        self._pool = futures.ThreadPoolExecutor(1)
        self._number, self._ahead, self.last = None, None, None

    def __call__(self, number: int) -> sources.Data:
        """The data of a block; the same object for all if there is but one."""
        whole = self._source.spec.blocks == 1
        if self.last is None or (not whole and number != self._number):
            ahead = self._ahead or self._pool.submit(self._source.block, number)
            block = ahead.result()
            self.last = None  # lets go of the block before
            self.last = sources.Data(self._program.put(block), *self._evaluated)
            self._number = number
            if not whole:
                self._ahead = self._pool.submit(self._source.block, number + 1)
        return self.last

    def close(self) -> None:
        """Stops reading ahead."""
        self._pool.shutdown(cancel_futures=True)
