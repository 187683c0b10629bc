"""Writes TFDS data sets to disk, once each; without TensorFlow where possible."""

import hashlib
import importlib.util
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aejax import config
from aejax.data import catalogue, prepared


def prepare(name: str, source: str | None = None) -> Path:
    """Directory of the prepared data set; at once if it is prepared already.

    ``source`` is a directory with the original files, which are recognised by size and
    SHA-256; without it TFDS downloads them. The result goes to TFDS's data directory,
    or to ``CACHE/tfds`` if that cannot be written. ``digits`` is prepared silently.

    Raises:
      InputError: unknown name; files missing, or others than TFDS recorded; no network;
        no directory to write to; TensorFlow is needed and not there.
    """
    if found := prepared.find(name):
        return found
    if source is not None and not Path(source).is_dir():
        raise config.InputError(f"--from {source}: there is no such directory")
    needs = getattr(catalogue.ENTRIES.get(name), "needs", "tensorflow")
    try:
        {"nothing": _digits, "numpy": _idx}.get(needs, _stock)(name, source)
    except config.InputError:
        raise
    except Exception as error:  # TFDS raises anything, at any length
        if prepared.find(name) is None:  # else another process was faster
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise config.InputError(
                f"data set '{name}' could not be prepared: {reason[:300]}"
            ) from error
    return prepared.find(name) or _root() / name


def _root() -> Path:
    """The first of TFDS's directory and ours that can be written."""
    for root in prepared.roots():
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                return root
        except OSError as error:
            reason = error
    raise config.InputError(
        f"data sets cannot be prepared in {' or '.join(map(str, prepared.roots()))} "
        f"({reason}); set TFDS_DATA_DIR to a directory that can be written"
    )


def _digits(name: str, source: str | None) -> None:
    from aejax.data import builders

    with prepared.quiet():
        builder = builders.Digits(data_dir=_root(), file_format="array_record")
        builder.download_and_prepare()


def _idx(name: str, source: str | None) -> None:
    import tensorflow_datasets as tfds

    from aejax.data import builders

    infos = tfds.builder_cls(name).url_infos
    paths = None if source is None else _match(name, Path(source), infos)
    if paths is None:
        url = next(iter(infos))
        request = urllib.request.Request(url, method="HEAD")
        try:  # ask first: offline, TFDS would retry for minutes
            urllib.request.urlopen(request, timeout=10).close()
        except OSError as error:
            raise config.InputError(
                f"{url} cannot be reached ({error}); bring the original files and run: "
                f"python -m aejax.data prepare {name} --from DIR"
            ) from error
    builders.idx(name, _root(), paths).download_and_prepare()


def _match(name: str, source: Path, infos: Mapping[str, Any]) -> dict[str, Path]:
    """{url: file} by content, because other data sets' files bear the same names."""
    files = sorted(f for f in source.rglob("*") if f.is_file())
    paths = {
        url: file
        for url, info in infos.items()
        for file in files
        if file.stat().st_size == int(info.size) and _sha256(file) == info.checksum
    }
    missing = [infos[url].filename for url in infos if url not in paths]
    if missing:
        told = [
            f"{m} (of other contents)" if (source / m).exists() else m for m in missing
        ]
        raise config.InputError(
            f"--from {source} lacks original files of '{name}': {', '.join(told)}; "
            f"they come, unchanged, from {next(iter(infos)).rpartition('/')[0]}/"
        )
    return paths


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stock(name: str, source: str | None) -> None:
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    if name.partition(":")[0].partition("/")[0] not in known:
        unknown = config.unknown("data set", name, catalogue.ENTRIES)
        raise config.InputError(f"{unknown}; nor does TFDS know it")
    if importlib.util.find_spec("tensorflow") is None:
        raise config.InputError(
            f"TFDS needs TensorFlow to prepare '{name}', once (reading it needs none): "
            'pip install "aejax[tensorflow]" and repeat this command; or copy the '
            f"directory {name} from where it is prepared (as array_record) to "
            f"{prepared.roots()[0]}"
        )
    root = _root()
    options = {}
    if source is not None:  # in a shared download folder, files of one name mix
        settings = tfds.download.DownloadConfig(manual_dir=source)
        folder = root / "downloads" / name.replace("/", "-")
        options = {"download_dir": folder, "download_config": settings}
    builder = tfds.builder(name, data_dir=root, file_format="array_record")
    builder.download_and_prepare(**options)
