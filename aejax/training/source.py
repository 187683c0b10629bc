"""What a program trains and is evaluated on: host arrays, whole or in blocks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import data as datasets
from aejax import model as model_lib

# Training data above this many bytes stay on the host and stream in blocks: a gigabyte
# is on any accelerator, beside the members.
RESIDENT_BYTES = 1 << 30


class Data(NamedTuple):
    """Arrays on the device: Batches of stored x, and the output bias (or None)."""

    train: model_lib.Batch
    evaluated: model_lib.Batch
    output_bias: Any = None


class DataSpec(NamedTuple):
    """All of a data set but its arrays, in JSON's types: what programs are made from.

    It is written to run.json, so that a run opens without its data.

    Attributes:
      name: as ``data.load`` takes it.
      arrays: {field of a Batch: (type as stored, shape of one example)}.
      sizes: examples of train, valid and test.
      scale: x_float = x_stored / scale.
      peak: see ``data.peak``.
      likelihood: the data set's own.
      num_classes: 0 without labels.
      labels: ((class, its label), …); () where there are no classes.
      counted: {measure: shares of examples that it counts}; {} if nothing is missing.
      columns, standard: of a table, see ``data.Dataset``, by which codes and
        reconstructions speak its units.
      notes: what was done to the data, a sentence each.
      blocks: in which training data stream; 1 if they do not.
    """

    name: str
    arrays: Mapping[str, tuple[str, tuple[int, ...]]]
    sizes: tuple[int, int, int]
    scale: float
    peak: float
    likelihood: str
    num_classes: int = 0
    labels: tuple[tuple[int, str], ...] = ()
    blocks: int = 1
    counted: Mapping[str, tuple[float, float, float]] = {}
    columns: tuple[Any, ...] = ()
    standard: Any = None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """S, of one example."""
        return self.arrays["x"][1]

    @property
    def missing(self) -> bool:
        """Whether x has NaN, which were not observed."""
        return bool(self.counted)

    @property
    def block_size(self) -> int:
        """Examples of one block; the same for all."""
        return self.sizes[0] // self.blocks

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Examples of train, valid and test that are evaluated.

        Of train as many as valid has: one line of the report beside the other.
        """
        train, valid, test = self.sizes
        return min(train, max(valid, 1)), valid, test

    def scales(self, binarize: str) -> tuple[float, float]:
        """Of x as programs have it, for training and for evaluation."""
        training = 1.0 if binarize == "threshold" else self.scale
        return training, 1.0 if binarize != "none" else self.scale

    def shapes(self, binarize: str, bias: tuple[int, ...] | None) -> Data:
        """Shapes and types of a program's data argument; ``bias``: of its bias."""

        def rows(count: int, binary: bool) -> model_lib.Batch:
            kinds = {"x": ("uint8", self.shape)} if binary else {}
            return model_lib.Batch(
                **{
                    name: jax.ShapeDtypeStruct((count, *shape), kind)
                    for name, (kind, shape) in (dict(self.arrays) | kinds).items()
                }
            )

        return Data(
            rows(self.block_size, binarize == "threshold"),
            rows(sum(self.lengths), binarize != "none"),
            bias and jax.ShapeDtypeStruct(bias, np.float32),
        )


def facts(entry: Mapping[str, Any]) -> DataSpec:
    """A DataSpec from JSON, whose lists were tuples."""
    arrays = {n: (kind, tuple(shape)) for n, (kind, shape) in entry["arrays"].items()}
    labels = tuple((int(k), str(v)) for k, v in entry["labels"])
    columns, standard = datasets.described(entry.get("columns"), entry.get("standard"))
    spec = DataSpec(**entry)._replace(columns=columns, standard=standard)
    return spec._replace(arrays=arrays, labels=labels, sizes=tuple(entry["sizes"]))


class Source(NamedTuple):
    """Training and evaluated data on the host, as stored: x_float = x / scale."""

    spec: DataSpec
    binarize: str
    dataset: datasets.Dataset  # as it was loaded; x of train may be a memory map
    evaluated: model_lib.Batch  # of train as much as valid has, then valid, then test
    output_bias: np.ndarray | None = None  # where the decoder starts

    @property
    def threshold(self) -> float | None:
        """The stored value from which x counts as 1."""
        return 0.5 * self.spec.scale if self.binarize == "threshold" else None

    def block(self, number: int) -> model_lib.Batch:
        """The host arrays of one block, counted through all epochs.

        A few examples that do not fill a block are left out of each epoch, and blocks
        are cut one example later in every epoch, so that those are others each time.
        """
        size, blocks = self.spec.block_size, self.spec.blocks
        spare = self.spec.sizes[0] - size * blocks
        start = number // blocks % (spare + 1) + (number % blocks) * size
        stored = model_lib.Batch(*self.dataset.train)
        block = jax.tree.map(lambda a: a[start : start + size], stored)
        x = block.x
        if self.threshold is not None:
            x = (x >= self.threshold).astype(np.uint8)
        return block._replace(x=np.ascontiguousarray(x))

    def data(self) -> Data:
        """The first block and all beside it, as a member takes them."""
        return Data(self.block(0), self.evaluated, self.output_bias)

    def training_rows(self, limit: int) -> model_lib.Batch:
        """At most so many training examples, from all over the split, in data units.

        Float32; binarised if training data are, with a fixed key if they are drawn.
        """
        n = self.spec.sizes[0]
        rows = model_lib.Batch(*self.dataset.train)
        rows = jax.tree.map(lambda a: a[spread(n, min(n, limit))], rows)
        if self.threshold is not None:
            return rows._replace(x=np.float32(rows.x >= self.threshold))
        x = np.asarray(rows.x, np.float32) / np.float32(self.spec.scale)
        if self.binarize == "dynamic":
            x = np.float32(bernoulli(np.random.default_rng(0), x))
        return rows._replace(x=x)


def spread(n: int, count: int) -> np.ndarray:
    """``count`` of n positions at equal distances: of a split that may be sorted."""
    return np.arange(count) * n // count


def bernoulli(rng: np.random.Generator, probability: np.ndarray) -> np.ndarray:
    """Booleans drawn on the host, where an evaluation needs the same ones each time."""
    return rng.random(probability.shape, np.float32) < probability


def describe(dataset: datasets.Dataset, resident: int = RESIDENT_BYTES) -> DataSpec:
    """The facts of a data set; it streams if it has more bytes than ``resident``."""
    size, n, valid = dataset.train.x.nbytes, len(dataset.train.x), len(dataset.valid.x)
    # Blocks of an eighth: one trains, one is copied and one read ahead at a time.
    blocks = -(-size // max(resident // 8, 1)) if size > resident else 1
    return DataSpec(
        name=dataset.name,
        arrays={
            name: (str(a.dtype), tuple(a.shape[1:]))
            for name, a in dataset.train._asdict().items()
            if a is not None
        },
        sizes=tuple(len(getattr(dataset, s).x) for s in datasets.SPLITS),
        scale=float(dataset.scale),
        peak=datasets.peak(dataset),
        likelihood=dataset.likelihood,
        num_classes=dataset.num_classes,
        labels=tuple(datasets.labels(dataset).items()),
        blocks=blocks,
        counted=datasets.missing.counted(dataset, spread(n, min(n, max(valid, 1)))),
        columns=dataset.columns,
        standard=dataset.standard and dataset.standard.listed(),
        notes=dataset.notes,
    )


def source(dataset: datasets.Dataset, spec: DataSpec, binarize: str) -> Source:
    """Host arrays of a data set; binarised data are uint8 of scale 1."""
    some = spread(spec.sizes[0], spec.lengths[0])
    train = datasets.Split(*(None if a is None else a[some] for a in dataset.train))
    parts = zip(train, dataset.valid, dataset.test, strict=True)
    evaluated = model_lib.Batch(
        *(None if p[0] is None else np.concatenate(p) for p in parts)
    )
    made = Source(spec, binarize, dataset, evaluated)
    if binarize == "none":
        return made
    x = evaluated.x
    if binarize == "threshold":
        x = x >= made.threshold
    else:  # drawn once, with a fixed key: evaluations compare
        x = bernoulli(np.random.default_rng(0), x / dataset.scale)
    return made._replace(evaluated=evaluated._replace(x=x.astype(np.uint8)))
