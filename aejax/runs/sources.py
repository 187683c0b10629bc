"""The data sets of a sweep and what its programs take of them, each made once."""

import functools
from collections.abc import Callable

import numpy as np

from aejax import data as datasets
from aejax import model as model_lib
from aejax import networks, objectives
from aejax.evaluate import pca
from aejax.training import source as sources
from aejax.training import spec as specs


class Sources:
    """Data sets by name, loaded when they are first asked for.

    Args:
      resident: bytes of training data above which they stream.
      load: name -> Dataset, ``data.load`` unless it is given.
    """

    def __init__(
        self, resident: int = sources.RESIDENT_BYTES, load: Callable | None = None
    ):
        self._resident = resident
        self.digests: dict[str, str] = {}  # of data sets, which provenance hashes once
        self._load = functools.cache(load or datasets.load)
        self.describe = functools.cache(self.describe)  # it scans the training split
        self._mean = functools.cache(self._mean)
        self._source = functools.cache(self._source)

    def dataset(self, name: str, sequences: bool = False) -> datasets.Dataset:
        """The data set; series (N, T) as ``sequences`` (N, T, 1) of one feature."""
        loaded = self._load(name)
        x = loaded.train.x
        if not sequences or x.ndim != 2 or x.dtype == np.uint8:
            return loaded
        parts = {n: getattr(loaded, n) for n in datasets.SPLITS}
        longer = {n: p._replace(x=p.x[..., None]) for n, p in parts.items()}
        return loaded._replace(**longer)

    def describe(self, name: str, sequences: bool) -> sources.DataSpec:
        """Its facts."""
        return sources.describe(self.dataset(name, sequences), self._resident)

    def source(self, spec: specs.TrainSpec) -> sources.Source:
        """What the programs of a TrainSpec train and are evaluated on."""
        config = spec.config
        where = config.dataset, config.binarize, in_sequences(config)
        source = self._source(*where)
        if config.output_bias != "mean":
            return source
        bias = model_lib.output_mean(spec.model, self._mean(*where))
        return source._replace(output_bias=bias)

    def _source(self, name: str, binarize: str, sequences: bool) -> sources.Source:
        facts = self.describe(name, sequences)
        return sources.source(self.dataset(name, sequences), facts, binarize)

    def _mean(self, name: str, binarize: str, sequences: bool) -> np.ndarray:
        return pca.training_mean(self._source(name, binarize, sequences))


def in_sequences(config) -> bool:
    """Whether objective or network of this Config take sequences (T, F)."""
    objective = objectives.OBJECTIVES[config.objective]
    return "sequence" in objective.needs | networks.NETWORKS[config.network].needs
