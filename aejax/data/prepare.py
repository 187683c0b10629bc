"""Writes TFDS data sets to disk, once each; without TensorFlow where possible. To be
imported inside functions only, for it imports tensorflow_datasets."""

import gzip
import hashlib
import importlib.util
import os
import types
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from aejax import config
from aejax.data import catalogue, dataset, paths, prepared, sprites


def prepare(name: str, source: str | None = None) -> Path:
    """Directory of the prepared data set; at once if it is prepared already.

    ``source`` is a directory with the original files, which are recognised by size and
    SHA-256; without it TFDS downloads them. ``digits`` and ``sprites`` need neither.

    Raises:
      InputError: unknown name; files missing, or others than TFDS recorded; no network;
        a directory that cannot be written; TensorFlow is needed and not there.
    """
    if directory := prepared.find(name):
        return directory
    if source is not None and not Path(source).is_dir():
        raise config.InputError(f"--from {source}: there is no such directory")
    needs = catalogue.ENTRIES.get(name, catalogue.Entry(())).needs
    if not needs:
        raise config.InputError(f"data set '{name}' is drawn whenever it is loaded")
    advice = f"; it goes to {prepared.root()}, or wherever TFDS_DATA_DIR says"
    with dataset.explained(f"data set '{name}' could not be prepared", advice):
        try:
            _PREPARE[needs](name, source)
        except Exception:
            if prepared.find(name) is None:  # else another process was faster
                raise
    return prepared.find(name)


def digits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{split: (x (N, 8, 8, 1) uint8 from 0 to 16, y (N,) int32)}, shuffled."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    x = bunch.images.astype(np.uint8)[order, :, :, None]
    y = bunch.target.astype(np.int32)[order]
    parts = zip(np.split(x, (1297, 1547)), np.split(y, (1297, 1547)), strict=True)
    return dict(zip(dataset.SPLITS, parts, strict=True))


def builder(name: str, **options: Any) -> Any:
    """Our TFDS builders: image, label and, of sprites, factors."""
    kinds = {"num_classes": 10} if name == "digits" else {"names": sprites.SHAPES}
    shape = catalogue.ENTRIES[name].shape
    features = {
        "image": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="bytes"),
        "label": tfds.features.ClassLabel(**kinds),
    }
    if name == "digits":
        splits = digits()
    else:
        features["factors"] = tfds.features.Tensor(shape=(5,), dtype=np.int32)
        factors = sprites.factors(name).items()
        splits = {s: (sprites.render(v), v[:, 0], v) for s, v in factors}

    # Unregistered: loading this twice is no error, and no stock name is hidden.
    with tfds.core.registered.skip_registration():

        class Embedded(tfds.core.GeneratorBasedBuilder):
            """A data set of aejax's own."""

            code_path = None
            VERSION = tfds.core.Version("1.0.0")

            def _info(self) -> tfds.core.DatasetInfo:
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    disable_shuffling=True,  # the order is ours
                )

            def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
                return {s: self._generate_examples(v) for s, v in splits.items()}

            def _generate_examples(self, part: Sequence[np.ndarray]) -> Iterator[Any]:
                for i, values in enumerate(zip(*part, strict=True)):
                    yield i, dict(zip(features, values, strict=True))

    Embedded.name = name
    return Embedded(**options)


def _prepare_own(name: str, source: str | None) -> None:
    root = prepared.root()
    existing = next(p for p in (root, *root.parents) if p.exists())
    # The mode too: root may write what is marked as not to be written.
    writable = os.access(existing, os.W_OK) and existing.stat().st_mode & 0o222
    root = root if writable else prepared.own_root()
    with prepared.quiet():
        builder(name, data_dir=root, file_format="array_record").download_and_prepare()


def _prepare_idx(name: str, source: str | None) -> None:
    """mnist, fashion_mnist or kmnist, parsed with NumPy.

    Name, version, features and order are the stock builder's, so that the result is the
    data set which TensorFlow would prepare.
    """
    from PIL import Image

    stock = tfds.builder_cls(name)
    local = source and _match(name, Path(source), stock.url_infos)
    if not local:  # ask first: offline, TFDS would retry for minutes
        url = next(iter(stock.url_infos))
        command = f"python -m aejax.data prepare {name} --from DIR"
        advice = f"; bring the original files and run: {command}"
        with dataset.explained(f"{url} cannot be reached", advice):
            urllib.request.urlopen(url, timeout=10).close()

    with tfds.core.registered.skip_registration():

        class Idx(stock):
            code_path = None

            def _split_generators(self, dl_manager: Any) -> Any:
                def get(urls: Mapping[str, str]) -> dict[str, Path]:
                    return {key: local[url] for key, url in urls.items()}

                manager = types.SimpleNamespace(download_and_extract=get)
                return super()._split_generators(manager if local else dl_manager)

            def _generate_examples(
                self, num_examples: int, data_path: Any, label_path: Any
            ) -> Iterator[Any]:
                images = _read_idx(data_path, 16).reshape(num_examples, 28, 28)
                labels = _read_idx(label_path, 8).reshape(num_examples)
                for i, image in enumerate(images):
                    # PIL encodes a PIL image; TensorFlow would encode an array.
                    picture = Image.fromarray(image)
                    yield i, {"image": picture, "label": int(labels[i])}

    Idx.name = name
    Idx(data_dir=prepared.root(), file_format="array_record").download_and_prepare()


def _match(name: str, source: Path, infos: Mapping[str, Any]) -> dict[str, Path]:
    """{url: file} by content, because other data sets' files bear the same names."""
    sizes = {int(info.size) for info in infos.values()}
    files = {
        hashlib.sha256(file.read_bytes()).hexdigest(): file
        for file in paths.walk(source)
        if file.stat().st_size in sizes
    }
    if missing := [i.filename for i in infos.values() if i.checksum not in files]:
        raise config.InputError(
            f"--from {source} lacks original files of '{name}' (a file of that name "
            f"may have other contents): {', '.join(missing)}; see {next(iter(infos))}"
        )
    return {url: files[info.checksum] for url, info in infos.items()}


def _read_idx(path: Any, header: int) -> np.ndarray:
    """The bytes behind the header of an idx file, gzipped or extracted by TFDS."""
    data = Path(path).read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return np.frombuffer(data, np.uint8, offset=header)


def _prepare_stock(name: str, source: str | None) -> None:
    root = prepared.root()
    known = tfds.list_builders(with_community_datasets=False)
    if prepared.base(name) not in known:
        unknown = config.unknown("data set", name, catalogue.ENTRIES)
        raise config.InputError(f"{unknown}; nor does TFDS know it")
    if importlib.util.find_spec("tensorflow") is None:
        raise config.InputError(
            f"TFDS needs TensorFlow to prepare '{name}', once: pip install "
            f'"aejax[tensorflow]"; or copy a prepared {name} (array_record) to {root}'
        )
    tfds.builder(name, data_dir=root, file_format="array_record").download_and_prepare(
        # In a folder shared by data sets, files of one name mix.
        download_dir=root / "downloads" / name.replace("/", "-"),
        download_config=tfds.download.DownloadConfig(manual_dir=source),
    )


_PREPARE = {
    "nothing": _prepare_own,
    "numpy": _prepare_idx,
    "tensorflow": _prepare_stock,
}
