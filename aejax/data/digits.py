"""scikit-learn's handwritten digits: the data set that needs no network."""

import importlib.util
from pathlib import Path

import numpy as np

from aejax.data import cache, catalogue, dataset


def load() -> dataset.Dataset:
    """1,297, 250 and 250 images (8, 8, 1), grey levels 0 to 16, classes 0 to 9.

    Shuffled once; scikit-learn is imported only to fill the cache.
    """
    package = Path(importlib.util.find_spec("sklearn").origin)
    return cache.fetch("digits", package.parent, [package], _build)


def _build():
    from sklearn import datasets

    x, y = datasets.load_digits(return_X_y=True)
    block = {"x": x.reshape(-1, 8, 8, 1).astype(np.uint8), "y": y.astype(np.int32)}
    order = np.random.default_rng(0).permutation(len(y))
    parts = zip(dataset.SPLITS, np.split(order, (1297, 1547)), strict=True)

    def decode(rows):
        return {name: values[rows] for name, values in block.items()}

    entry = catalogue.ENTRIES["digits"]
    about = {"likelihood": entry.likelihood, "scale": entry.scale, "num_classes": 10}
    return about, {split: (rows, decode) for split, rows in parts}
