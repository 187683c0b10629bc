"""Writes TFDS data sets to disk, once each; without TensorFlow where possible. To be
imported inside functions only, for it imports tensorflow_datasets."""

import gzip
import hashlib
import importlib.util
import types
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from aejax import config
from aejax.data import catalogue, dataset, prepared


def prepare(name: str, source: str | None = None) -> Path:
    """Directory of the prepared data set; at once if it is prepared already.

    ``source`` is a directory with the original files, which are recognised by size and
    SHA-256; without it TFDS downloads them.

    Raises:
      InputError: unknown name; files missing, or others than TFDS recorded; no network;
        a directory that cannot be written; TensorFlow is needed and not there.
    """
    if name == "digits":
        raise config.InputError("data set 'digits' is always ready: just use it")
    if found := prepared.find(name):
        return found
    if source is not None and not Path(source).is_dir():
        raise config.InputError(f"--from {source}: there is no such directory")
    plain = name in catalogue.ENTRIES and not catalogue.ENTRIES[name].tensorflow
    advice = f"; it goes to {prepared.root()}, or wherever TFDS_DATA_DIR says"
    with dataset.explained(f"data set '{name}' could not be prepared", advice):
        try:
            (_prepare_idx if plain else _prepare_stock)(name, source)
        except Exception:
            if prepared.find(name) is None:  # else another process was faster
                raise
    return prepared.find(name)


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

                own = types.SimpleNamespace(download_and_extract=get)
                return super()._split_generators(own if local else dl_manager)

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
        for file in source.rglob("*")
        if file.is_file() and file.stat().st_size in sizes
    }
    if missing := [i.filename for i in infos.values() if i.checksum not in files]:
        raise config.InputError(
            f"--from {source} lacks original files of '{name}' (a file of that name "
            f"may have other contents): {', '.join(missing)}; they come, unchanged, "
            f"from {next(iter(infos)).rpartition('/')[0]}/"
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
            f"TFDS needs TensorFlow to prepare '{name}', once (reading it needs none): "
            'pip install "aejax[tensorflow]" and repeat this command; or copy the '
            f"directory {name} from where it is prepared (as array_record) to {root}"
        )
    tfds.builder(name, data_dir=root, file_format="array_record").download_and_prepare(
        # In a folder shared by data sets, files of one name mix.
        download_dir=root / "downloads" / name.replace("/", "-"),
        download_config=tfds.download.DownloadConfig(manual_dir=source),
    )
