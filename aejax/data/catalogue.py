"""The data sets known by name: what they hold and how their images become x."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from aejax.data import manifolds


def _resize(image: np.ndarray, side: int, mode: str) -> np.ndarray:
    """PIL's bilinear filter, which widens with the reduction: no aliasing."""
    from PIL import Image

    size, how = (side, side), Image.Resampling.BILINEAR
    return np.atleast_3d(Image.fromarray(image).convert(mode).resize(size, how))


def _binary(image: np.ndarray) -> np.ndarray:
    return (image > 0).astype(np.uint8)


def _omniglot(image: np.ndarray) -> np.ndarray:
    return 255 - _resize(image, 28, "L")


def _celeb_a(image: np.ndarray) -> np.ndarray:
    top, left = ((side - 140) // 2 for side in image.shape[:2])
    return _resize(image[top : top + 140, left : left + 140], 64, "RGB")


class Entry(NamedTuple):
    """One TFDS data set, and the way from its records to x and y.

    ``transform`` makes x (h, w, c) uint8, of ``shape``, from the feature ``image``
    (H, W, C) uint8; y is the feature ``label``. ``needs`` is what preparing it takes
    beside its files: "nothing" (not even files), "numpy" or "tensorflow"; "" is drawn
    when it is loaded.
    """

    shape: tuple[int, ...]
    splits: str = ""
    note: str = ""
    scale: float = 255.0
    label: str | None = "label"
    transform: Callable[[np.ndarray], np.ndarray] = np.asarray
    needs: str = "tensorflow"

    @property
    def likelihood(self) -> str:
        if len(self.shape) == 2:
            return "tokens"
        return "gaussian" if self.shape[-1] > 1 else "bernoulli"


_CARVED = "54,000 / last 6,000 of train / 10,000"
_MNIST = Entry((28, 28, 1), _CARVED, "handwritten digits", needs="numpy")
_NOTE = "three shapes of five known factors, also as NAME:captions; needs no download"
_SPRITES = Entry((32, 32, 1), "24,000 / 3,000 / 3,000", _NOTE, needs="nothing")

ENTRIES = {
    "digits": Entry(
        (8, 8, 1),
        "1,297 / 250 / 250",
        "handwritten digits of scikit-learn, also digits:captions; needs no download",
        scale=16.0,
        needs="nothing",
    ),
    "sprites": _SPRITES,
    "sprites_5000": _SPRITES._replace(splits="4,000 / 500 / 500"),
    "tunes": Entry(
        (32, 4),
        "4,000 / 500 / 500",
        "synthetic two-bar pieces: scales, arpeggios, cadences; needs no download",
        needs="",
    ),
    "mnist": _MNIST,
    "fashion_mnist": _MNIST._replace(note="clothes from Zalando"),
    "kmnist": _MNIST._replace(note="cursive Japanese characters"),
    "binarized_mnist": Entry(
        (28, 28, 1),
        "50,000 / 10,000 / 10,000",
        "Larochelle's fixed binarisation, stored as 0 and 1; no labels",
        scale=1.0,
        label=None,
        transform=_binary,
    ),
    "omniglot": Entry(
        (28, 28, 1),
        "17,352 / last 1,928 of train / 13,180",
        "characters made 28x28, grey and inverted (strokes 1); test: other alphabets",
        transform=_omniglot,
    ),
    "cifar10": Entry(
        (32, 32, 3), "45,000 / last 5,000 of train / 10,000", "photographs"
    ),
    "svhn_cropped": Entry(
        (32, 32, 3),
        "65,932 / last 7,325 of train / 26,032",
        "house numbers; the split 'extra' is not used",
    ),
    "dsprites": Entry(
        (64, 64, 1),
        "589,824 / last 73,728 / 73,728 before them",
        "shapes drawn from known factors, stored as 0 and 1; y is the shape; 3 GB",
        scale=1.0,
        label="label_shape",
        transform=_binary,
    ),
    "celeb_a": Entry(
        (64, 64, 3),
        "162,770 / 19,867 / 19,962",
        "faces, the central 140x140 made 64x64; no labels; 2.5 GB",
        label=None,
        transform=_celeb_a,
    ),
} | {
    name: Entry(
        (known.size,),
        "4,000 / 500 / 1,000",
        f"{known.about}, of dimension {known.dim}; needs no download",
        scale=1.0,
        label=None,
        needs="",
    )
    for name, known in manifolds.MANIFOLDS.items()
}
