"""Sprites: 32x32 white shapes on black, drawn from five factors that are known.

After dSprites (Matthey et al., 2017), at a quarter of its area and anti-aliased. Scale
runs from a half to all of the largest size, rotation counterclockwise over the circle;
x and y count whole pixels, right and down. A square looks the same after 90 degrees and
an ellipse after 180; as 21 is odd, no two of the 96,768 combinations are one picture.
A data set is a fixed draw of them without replacement, and its split.
"""

import functools
import math

import numpy as np

from aejax.data import dataset

FACTORS = {"shape": 3, "scale": 6, "rotation": 21, "x": 16, "y": 16}  # name: values
SHAPES = ("square", "ellipse", "heart")
EXAMPLES = {"sprites": 30_000, "sprites_5000": 5_000}
_STAMP = 17  # pixels of a side: 16 places in 32 pixels
_RADIUS = 7.5  # of the largest: no shape reaches the outermost pixels of its stamp
_FINE = 8  # samples per pixel along either axis


def factors(name: str) -> dict[str, np.ndarray]:
    """{split: (N, 5) int32}, in the order of the examples; tenths 8, 1 and 1."""
    n, sizes = EXAMPLES[name], tuple(FACTORS.values())
    # RandomState, unlike a Generator, gives the same numbers in every NumPy.
    drawn = np.random.RandomState(0).permutation(math.prod(sizes))[:n]
    table = np.stack(np.unravel_index(drawn, sizes), 1).astype(np.int32)
    parts = np.split(table, (n * 8 // 10, n * 9 // 10))
    return dict(zip(dataset.SPLITS, parts, strict=True))


def render(factors: np.ndarray) -> np.ndarray:
    """Images (N, 32, 32, 1) uint8 of factors (N, 5): 255 times the share covered."""
    x = np.zeros((len(factors), 32, 32, 1), np.uint8)
    for image, (shape, scale, rotation, left, top) in zip(x, factors, strict=True):
        stamp = _stamps()[shape, scale, rotation]
        image[top : top + _STAMP, left : left + _STAMP, 0] = stamp
    return x


@functools.cache
def _stamps() -> np.ndarray:
    """(3, 6, 21, 17, 17) uint8: each shape, scale and rotation, centred."""
    offsets = (np.arange(_STAMP * _FINE) + 0.5) / _FINE - _STAMP / 2
    right, up = offsets.astype(np.float32), -offsets.astype(np.float32)[:, None]
    out = []
    for turn in np.arange(FACTORS["rotation"]) * 2 * np.pi / FACTORS["rotation"]:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        for scale in np.linspace(0.5, 1, FACTORS["scale"], dtype=np.float32):
            a = (right * cos + up * sin) / (scale * _RADIUS)  # in the unit circle
            b = (up * cos - right * sin) / (scale * _RADIUS)
            # The heart's centroid and farthest point from it, in its curve's own unit.
            p, q = 1.29061 * a, 1.29061 * b + 0.29348
            inside = (
                np.maximum(abs(a), abs(b)) <= math.sqrt(0.5),
                a**2 + (2 * b) ** 2 <= 1,
                (p**2 + q**2 - 1) ** 3 <= p**2 * q**3,
            )
            out.append(np.reshape(inside, (3, _STAMP, _FINE, _STAMP, _FINE)))
    cover = np.reshape([i.mean((2, 4)) for i in out], (21, 6, 3, _STAMP, _STAMP))
    return np.rint(255 * cover).astype(np.uint8).transpose(2, 1, 0, 3, 4)
