"""The data sets known by name: what they hold and how their images become x."""

from typing import NamedTuple

import numpy as np

VERSION = 1  # of the rules below; a higher number makes every cached array stale


class Entry(NamedTuple):
    """One TFDS data set, and the way from its records to x and y.

    An image is cropped at its centre to ``crop`` pixels, made grey, resized to ``size``
    pixels, inverted and made binary (0 or 1: anything above 0), in this order.
    ``needs`` is what preparing it takes beside its files: "nothing" (not even files),
    "numpy" or "tensorflow".
    """

    shape: tuple[int, ...]
    likelihood: str
    splits: str
    note: str
    scale: float = 255.0
    image: str = "image"
    label: str | None = "label"
    crop: int = 0
    grey: bool = False
    size: int = 0
    invert: bool = False
    binary: bool = False
    needs: str = "tensorflow"


_MNIST = "54,000 / last 6,000 of train / 10,000"

ENTRIES = {
    "digits": Entry(
        (8, 8, 1),
        "bernoulli",
        "1,297 / 250 / 250",
        "handwritten digits of scikit-learn, 17 grey levels; needs no download",
        scale=16.0,
        needs="nothing",
    ),
    "mnist": Entry(
        (28, 28, 1), "bernoulli", _MNIST, "handwritten digits", needs="numpy"
    ),
    "fashion_mnist": Entry(
        (28, 28, 1), "bernoulli", _MNIST, "clothes from Zalando", needs="numpy"
    ),
    "kmnist": Entry(
        (28, 28, 1), "bernoulli", _MNIST, "cursive Japanese characters", needs="numpy"
    ),
    "binarized_mnist": Entry(
        (28, 28, 1),
        "bernoulli",
        "50,000 / 10,000 / 10,000",
        "Larochelle's fixed binarisation, stored as 0 and 1; no labels",
        scale=1.0,
        label=None,
        binary=True,
    ),
    "omniglot": Entry(
        (28, 28, 1),
        "bernoulli",
        "17,352 / last 1,928 of train / 13,180",
        "characters made 28x28, grey and inverted (strokes 1); test: other alphabets",
        grey=True,
        size=28,
        invert=True,
    ),
    "cifar10": Entry(
        (32, 32, 3),
        "gaussian",
        "45,000 / last 5,000 of train / 10,000",
        "photographs",
    ),
    "svhn_cropped": Entry(
        (32, 32, 3),
        "gaussian",
        "65,932 / last 7,325 of train / 26,032",
        "house numbers; the split 'extra' is not used",
    ),
    "dsprites": Entry(
        (64, 64, 1),
        "bernoulli",
        "589,824 / last 73,728 / 73,728 before them",
        "shapes drawn from known factors, stored as 0 and 1; y is the shape; 3 GB",
        scale=1.0,
        label="label_shape",
        binary=True,
    ),
    "celeb_a": Entry(
        (64, 64, 3),
        "gaussian",
        "162,770 / 19,867 / 19,962",
        "faces, the central 140x140 made 64x64; no labels; 2.5 GB",
        label=None,
        crop=140,
        size=64,
    ),
}


def transform(entry: Entry, image: np.ndarray) -> np.ndarray:
    """One stored image (H, W, C) uint8 as the example (h, w, c) uint8 of ``entry``."""
    if entry.crop:
        top, left = ((side - entry.crop) // 2 for side in image.shape[:2])
        image = image[top : top + entry.crop, left : left + entry.crop]
    if entry.grey or entry.size:
        from PIL import Image

        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        picture = picture.convert("L") if entry.grey else picture
        if entry.size:  # PIL's bilinear filter widens with the reduction: no aliasing
            side = (entry.size, entry.size)
            picture = picture.resize(side, Image.Resampling.BILINEAR)
        image = np.asarray(picture).reshape(*picture.size[::-1], -1)
    image = 255 - image if entry.invert else image
    return (image > 0).astype(np.uint8) if entry.binary else image
