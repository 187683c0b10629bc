"""What a program trains and is evaluated on: host arrays, whole or in blocks."""

from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import data as datasets
from aejax import model as model_lib


class Data(NamedTuple):
    """Arrays on the device: Batches of stored x, and the output bias (or None)."""

    train: model_lib.Batch
    held: model_lib.Batch
    output_bias: Any = None


class Source(NamedTuple):
    """Training and held-out data on the host, as stored: x_float = x_stored / scale."""

    train: model_lib.Batch  # x may be a memory map
    held: model_lib.Batch  # as much of train as valid has, then valid, then test
    lengths: tuple[int, int, int]  # of these three
    scale: float  # of train
    held_scale: float
    threshold: float | None  # stored value from which x counts as 1
    blocks: int  # in which training streams; 1 if it does not
    output_bias: np.ndarray | None  # where the decoder starts
    peak: float  # see ``data.peak``

    @property
    def pass_size(self) -> int:
        """Examples of one block; the same for all."""
        return len(self.train.x) // self.blocks

    def block(self, visit: int) -> model_lib.Batch:
        """The host arrays of one visit: block ``visit % blocks``.

        A few examples that do not fill a block are left out of each epoch, and blocks
        are cut one example later in every epoch, so that those are others each time.
        """
        size, epoch = self.pass_size, visit // self.blocks
        spare = len(self.train.x) - size * self.blocks
        start = epoch % (spare + 1) + (visit % self.blocks) * size
        block = jax.tree.map(lambda a: a[start : start + size], self.train)
        x = block.x
        if self.threshold is not None:
            x = (x >= self.threshold).astype(np.uint8)
        return block._replace(x=np.ascontiguousarray(x))

    def training_rows(self, most: int, drawn: bool) -> model_lib.Batch:
        """At most so many training examples, from all over the split, in data units.

        Float32; binarised if training data are, with a fixed key if they are ``drawn``.
        """
        n = len(self.train.x)
        rows = jax.tree.map(lambda a: a[spread(n, min(n, most))], self.train)
        x = rows.x if self.threshold is None else rows.x >= self.threshold
        x = np.asarray(x, np.float32) / np.float32(self.scale)
        if drawn:
            x = np.float32(np.random.default_rng(0).random(x.shape, np.float32) < x)
        return rows._replace(x=x)

    def shapes(self) -> Data:
        """Shapes and types of a program's data argument."""

        def rows(a: np.ndarray, n: int) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype)

        block = jax.tree.map(lambda a: rows(a, self.pass_size), self.train)
        if self.threshold is not None:
            x = jax.ShapeDtypeStruct(block.x.shape, np.uint8)
            block = block._replace(x=x)
        whole = self.held, self.output_bias
        return Data(block, *jax.tree.map(lambda a: rows(a, len(a)), whole))


def spread(n: int, count: int) -> np.ndarray:
    """``count`` of n positions at equal distances: of a split that may be sorted."""
    return np.arange(count) * n // count


def source(dataset: datasets.Dataset, binarize: str, resident: int) -> Source:
    """Host arrays of a data set; binarised data are uint8 of scale 1."""
    n_held = min(len(dataset.train.x), max(len(dataset.valid.x), 1))
    rows = spread(len(dataset.train.x), n_held)
    some = jax.tree.map(lambda a: a[rows], dataset.train)
    parts = [some, dataset.valid, dataset.test]
    held = model_lib.Batch(
        *(None if v[0] is None else np.concatenate(v) for v in zip(*parts, strict=True))
    )
    scale = held_scale = dataset.scale
    threshold = None
    if binarize == "threshold":
        threshold, scale, held_scale = 0.5 * dataset.scale, 1.0, 1.0
        held = held._replace(x=(held.x >= threshold).astype(np.uint8))
    elif binarize == "dynamic":  # drawn once, with a fixed key: evaluations compare
        rng, held_scale = np.random.default_rng(0), 1.0
        x = rng.random(held.x.shape, np.float32) < held.x / dataset.scale
        held = held._replace(x=x.astype(np.uint8))
    # Blocks of an eighth: one trains, one is copied and one read ahead at a time.
    size = dataset.train.x.nbytes
    blocks = -(-size // max(resident // 8, 1)) if size > resident else 1
    lengths = tuple(len(p.x) for p in parts)
    stored = model_lib.Batch(*dataset.train)
    scales = scale, held_scale, threshold
    return Source(stored, held, lengths, *scales, blocks, None, datasets.peak(dataset))


def training_mean(source: Source) -> np.ndarray:
    """(*S,) float64 mean of the training split in data units."""
    total = np.zeros(source.train.x.shape[1:])
    for visit in range(source.blocks):
        total += source.block(visit).x.sum(0, dtype=np.float64)
    return total / (source.pass_size * source.blocks) / source.scale
