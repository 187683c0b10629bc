"""Data as people bring them: prepared sets, images in folders, and refusals."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aejax import config, data
from aejax.data import prepared

SPLITS = ("train", "valid", "test")


def write_tfds(root, name, records, config_name=None, sorted_on_disk=False):
    """Prepares {split: [record]} as the TFDS data set ``name``."""
    import tensorflow_datasets as tfds

    kinds = {
        "image": lambda v: tfds.features.Image(shape=v.shape),
        "label": lambda v: tfds.features.ClassLabel(num_classes=7),
        "label_shape": lambda v: tfds.features.ClassLabel(num_classes=3),
        "vector": lambda v: tfds.features.Tensor(shape=v.shape, dtype=np.float32),
    }
    first = next(iter(records.values()))[0]
    features = {key: kinds[key](value) for key, value in first.items()}

    with tfds.core.registered.skip_registration():

        class Fake(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            BUILDER_CONFIGS = (
                [tfds.core.BuilderConfig(name=config_name)] if config_name else []
            )
            code_path = None

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    description=name,
                    features=tfds.features.FeaturesDict(features),
                    disable_shuffling=sorted_on_disk,
                )

            def _split_generators(self, dl_manager):
                return {s: self._generate_examples(s) for s in records}

            def _generate_examples(self, split):
                for i, record in enumerate(records[split]):
                    if "image" in record:  # arrays would be encoded by TensorFlow
                        image = record["image"]
                        image = image[..., 0] if image.shape[-1] == 1 else image
                        record = record | {"image": Image.fromarray(image)}
                    yield i, record

    Fake.name = name
    with prepared.quiet():
        Fake(data_dir=root, file_format="array_record").download_and_prepare()
    return Path(root) / name


def images(n, shape, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8))


def same(a, b):
    return all(
        (u is None and v is None) or (u.dtype == v.dtype and np.array_equal(u, v))
        for s in SPLITS
        for u, v in zip(getattr(a, s), getattr(b, s), strict=True)
    )


F = np.ones((20, 3), np.float32)


def refused(name, message):
    """Of one line of bounded length, at once."""
    start = time.perf_counter()
    with pytest.raises(config.InputError, match=message) as error:
        data.load(str(name))
    assert time.perf_counter() - start < 5
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1500
    return str(error.value)


def draw(path, value, mode="L", size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def draw_all(folder, parts, count=5):
    """Images {sub-folder: grey}, ``count`` in each."""
    for part, value in parts.items():
        for i in range(count):
            draw(folder / part / f"{i}.png", value)


def greys(split):
    return sorted(set(split.x.ravel().tolist()))
