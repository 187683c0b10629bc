"""The cache of decoded data: damage, full disks, several processes and threads."""

import os
import resource
import threading

import numpy as np
import pytest

from aejax import config
from aejax.data import cache
from tests.data.common import SPLITS, same


def fetch(places, value=1.0, calls=None):
    """Splits of 3, 2 and 2 rows, decoded in blocks of 2."""

    def decode(rows):
        return {"x": np.array([[value, row, 0] for row in rows], np.float32)}

    def build():
        if calls is not None:
            calls.append(1)
        counts = ("train", 3), ("valid", 2), ("test", 2)
        streams = {s: (range(n), decode) for s, n in counts}
        return {"likelihood": "gaussian", "scale": 2.0}, streams

    return cache.fetch("own", places / "k", [], build)


def spoil_truncate(path):
    path.write_bytes(path.read_bytes()[:-4])


def spoil_flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def spoil_info(path):
    (path.parent / "info.json").write_text("{")


def spoil_shape(path):
    np.save(path, np.ones((9, 1), np.float32))


@pytest.mark.parametrize("spoil", [spoil_truncate, spoil_flip, spoil_info, spoil_shape])
def test_damaged_cache_is_rebuilt(places, monkeypatch, spoil):
    monkeypatch.setattr(cache, "BLOCK", 2)
    calls = []
    d = fetch(places, 5.0, calls)
    assert (d.name, d.likelihood, d.scale) == ("own", "gaussian", 2)
    assert d.train.x.tolist() == [[5, 0, 0], [5, 1, 0], [5, 2, 0]]
    assert same(d, fetch(places, 6.0, calls)) and len(calls) == 1
    (entry,) = (places / "cache/data").iterdir()
    spoil(entry / "train-x.npy")
    for _ in range(2):
        assert fetch(places, 7.0, calls).train.x[:, 0].tolist() == [7, 7, 7]
    assert len(calls) == 2 and list((places / "cache/data").iterdir()) == [entry]


def test_full_disk(places):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (140, limits[1]))
    try:
        with pytest.raises(config.InputError, match="too large.*set AEJAX_CACHE_DIR"):
            fetch(places)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(places / "cache/data") == []


def test_large_sets_are_memory_maps(places, monkeypatch):
    monkeypatch.setattr(cache, "IN_MEMORY", 20)
    x = fetch(places).train.x
    assert isinstance(x, np.memmap) and not x.flags.writeable and x.shape == (3, 3)


def entry(places, value=1.0, during=lambda: None):
    def build():
        during()

        def rows(indices):
            return {"x": np.full((len(indices), 2), value, np.float32)}

        return {"likelihood": "gaussian", "scale": 1.0}, {
            s: ([1], rows) for s in SPLITS
        }

    return cache.fetch("own", places / "k", [], build)


@pytest.mark.parametrize("damaged", [False, True])
def test_two_processes_decode_at_once(places, monkeypatch, damaged):
    """The other one's entry appears just before this one's is renamed."""
    if damaged:
        entry(places)
        (path,) = (places / "cache/data").glob("*/info.json")
        path.write_text("{")
    first, other = [True], []
    for name in ("rename", "replace"):
        real = getattr(os, name)

        def rename(*args, real=real):
            if first and first.pop():
                other.append(entry(places, 2.0))
                other.append(next((places / "cache/data").glob("*/info.json")).stat())
            return real(*args)

        monkeypatch.setattr(os, name, rename)
    assert entry(places, 2.0).train.x.tolist() == [[2, 2]]
    assert other[0].train.x.tolist() == [[2, 2]]
    (path,) = (places / "cache/data").glob("*/info.json")
    assert path.stat().st_ino == other[1].st_ino  # a valid entry is never removed
    assert len(os.listdir(places / "cache/data")) == 1


def test_many_threads_on_one_cold_or_damaged_entry(places):
    errors = []

    def run(barrier):
        try:
            assert entry(places, during=barrier.wait).test.x.tolist() == [[1, 1]]
        except Exception as error:
            barrier.abort()
            errors.append(error)

    for _ in range(5):
        barrier = threading.Barrier(8)  # all have found nothing
        threads = [threading.Thread(target=run, args=[barrier]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        (path,) = (places / "cache/data").glob("*/train-x.npy")
        path.write_bytes(b"damaged")


def test_an_empty_split_is_no_entry(places):
    def build():
        return {"likelihood": "gaussian", "scale": 1.0}, {"train": ([], None)}

    with pytest.raises(config.InputError, match="'own' has no example in train"):
        cache.fetch("own", places / "k", [], build)
    assert os.listdir(places / "cache/data") == []


def test_an_entry_is_of_real_files(places):
    """Links along the way change nothing, what they lead to does."""
    for folder in ("a", "b"):
        (places / folder).mkdir()
        (places / folder / "x").write_text(folder)
    os.symlink("a", places / "link")
    os.symlink("a/x", places / "y")
    files = [places / name for name in ("a/x", "link/x", "y", "link/../a/x")]
    want = (places / "a/x").stat()
    want = str((places / "a/x").resolve()), want.st_size, want.st_mtime_ns
    assert cache._states(files) == [want] * 4
    os.unlink(places / "link")
    os.symlink("b", places / "link")
    assert cache._states([cache.Path("link/x")])[0][0] == str(places / "b/x")
