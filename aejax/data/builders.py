"""TFDS builders that prepare without TensorFlow. To be imported inside functions only,
for it imports tensorflow_datasets."""

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds


def digits() -> dict[str, dict[str, np.ndarray]]:
    """{split: {"x": (N, 8, 8, 1) uint8 from 0 to 16, "y": (N,) int32}}, shuffled."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    x = np.split(bunch.images.astype(np.uint8)[order, :, :, None], (1297, 1547))
    y = np.split(bunch.target.astype(np.int32)[order], (1297, 1547))
    return {s: {"x": x[i], "y": y[i]} for i, s in enumerate(("train", "valid", "test"))}


# Unregistered: loading this file twice is no error, and no stock name is hidden.
with tfds.core.registered.skip_registration():

    class Digits(tfds.core.GeneratorBasedBuilder):
        """scikit-learn's bundled digits as the TFDS data set ``digits``."""

        name = "digits"
        code_path = None
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> tfds.core.DatasetInfo:
            features = {
                "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description="Handwritten digits, 8x8 pixels of 17 grey levels.",
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
                homepage="https://doi.org/10.24432/C50P49",
                disable_shuffling=True,  # the order is ours, and shuffled already
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {s: self._generate_examples(part) for s, part in digits().items()}

        def _generate_examples(self, part: Mapping[str, np.ndarray]) -> Iterator[Any]:
            for i, image in enumerate(part["x"]):
                yield i, {"image": image, "label": int(part["y"][i])}


class _Local:
    """Stands in for TFDS's download manager where the user brings the files."""

    downloaded_size = 0

    def __init__(self, paths: Mapping[str, Path]):
        self._paths = paths

    def download_and_extract(self, urls: Mapping[str, str]) -> dict[str, Path]:
        return {name: self._paths[url] for name, url in urls.items()}


def idx(name: str, root: Path, paths: Mapping[str, Path] | None = None) -> Any:
    """The stock builder ``name`` (mnist, fashion_mnist, kmnist), parsing with NumPy.

    Name, version, features and order are the stock builder's, so that the result is the
    data set which TensorFlow would prepare. ``paths`` gives the file of every URL;
    without it TFDS downloads them.
    """
    from PIL import Image

    with tfds.core.registered.skip_registration():

        class Idx(tfds.builder_cls(name)):
            code_path = None

            def _split_generators(self, dl_manager: Any) -> Any:
                return super()._split_generators(_Local(paths) if paths else dl_manager)

            def _generate_examples(
                self, num_examples: int, data_path: Any, label_path: Any
            ) -> Iterator[Any]:
                images = _idx(data_path, 16).reshape(num_examples, 28, 28)
                labels = _idx(label_path, 8).reshape(num_examples)
                for i, image in enumerate(images):
                    # PIL encodes a PIL image; TensorFlow would encode an array.
                    picture = Image.fromarray(image)
                    yield i, {"image": picture, "label": int(labels[i])}

    Idx.name = name
    return Idx(data_dir=root, file_format="array_record")


def _idx(path: Any, header: int) -> np.ndarray:
    """The bytes behind the header of an idx file, gzipped or extracted by TFDS."""
    data = Path(path).read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return np.frombuffer(data, np.uint8, offset=header)
