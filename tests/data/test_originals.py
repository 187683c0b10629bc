"""The real data, and preparing them from their originals."""

import io

import numpy as np
import pytest
from PIL import Image

from aejax import data
from aejax.data import __main__ as command
from aejax.data import cache, catalogue, prepare, prepared
from tests.data.common import same


@pytest.mark.shared
def test_ecg5000(shared_data):
    if not (shared_data / "ecg5000.npz").exists():
        pytest.skip(f"{shared_data} has no ecg5000.npz")
    d = data.load(str(shared_data / "ecg5000.npz"))
    assert [s.x.shape for s in d[1:4]] == [(450, 140), (50, 140), (4500, 140)]
    assert (d.likelihood, d.num_classes) == ("gaussian", 2)
    assert 5 < sum(d.valid.y) < 45


@pytest.mark.shared
def test_mnist_prepared_from_its_originals(places, shared_data, capfd):
    if not (shared_data / "originals" / "mnist").exists():
        pytest.skip(f"{shared_data} has no originals/mnist")
    originals = str(shared_data / "originals" / "mnist")
    assert command.main(["prepare", "fashion_mnist", "--from", originals]) == 2
    message = capfd.readouterr().err
    assert (
        "may have other contents" in message and "train-images-idx3-ubyte.gz" in message
    )
    assert not (places / "tfds" / "fashion_mnist").exists()
    assert command.main(["prepare", "mnist", "--from", originals]) == 0
    assert prepare.prepare("mnist") == prepared.find("mnist")  # at once
    import tensorflow_datasets as tfds

    raw = {"image": tfds.decode.SkipDecoding()}
    stock, ours = (
        tfds.data_source("mnist", data_dir=root, download=False, decoders=raw)
        for root in (shared_data / "tfds", places / "tfds")
    )
    for split, n in (("train", 60000), ("test", 10000)):
        assert len(stock[split]) == len(ours[split]) == n
        a, b = (source[split].__getitems__(range(n)) for source in (stock, ours))
        assert [r["label"] for r in a] == [r["label"] for r in b]
        for i, j in zip(a, b, strict=True):
            if i["image"] != j["image"]:  # another zlib may encode otherwise
                i, j = (Image.open(io.BytesIO(r["image"])) for r in (i, j))
                np.testing.assert_array_equal(np.asarray(i), np.asarray(j))


@pytest.mark.shared
def test_mnist(shared_data, monkeypatch):
    if not (shared_data / "tfds" / "mnist").exists():
        pytest.skip(f"{shared_data} has no tfds/mnist")
    monkeypatch.setenv("TFDS_DATA_DIR", str(shared_data / "tfds"))
    d = data.load("mnist")
    assert [len(s.x) for s in d[1:4]] == [54000, 6000, 10000]
    assert (d.scale, d.num_classes, d.train.x.shape[1:]) == (255, 10, (28, 28, 1))
    assert np.bincount(np.concatenate([s.y for s in d[1:4]])).tolist() == [
        *(6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958)
    ]
    monkeypatch.setattr(cache, "_make", None)  # it is decoded once
    assert same(d, data.load("mnist"))


def test_command_line(places, capfd):
    assert command.main(["list"]) == 0
    rows = capfd.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == list(catalogue.ENTRIES)
    assert sorted(catalogue.ENTRIES) == data.names()
    assert command.main(["prepare", "mnits"]) == 2
    assert "did you mean 'mnist'" in capfd.readouterr().err
    assert command.main(["prepare", "mnist", "--from", str(places / "no")]) == 2
    assert "no such directory" in capfd.readouterr().err
    assert command.main(["prepare", "digits"]) == 0
    assert str(places / "tfds/digits/1.0.0") in capfd.readouterr().out
