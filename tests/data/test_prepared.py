"""aejax.data: digits, sets prepared by TFDS, the catalogue."""

import numpy as np
import pytest

from aejax import config, data
from aejax.data import cache, catalogue, prepare
from tests.data.common import SPLITS, images, same, write_tfds


def test_digits_prepare_themselves_quietly(places, capfd, imported):
    d = data.load("digits")
    assert capfd.readouterr() == ("", "")
    assert [len(getattr(d, s).x) for s in SPLITS] == [1297, 250, 250]
    assert (d.train.x.shape[1:], d.train.x.dtype, d.scale) == ((8, 8, 1), np.uint8, 16)
    assert d.train.x.max() == 16 and d.likelihood == "bernoulli" and d.num_classes == 10
    for s, (x, y) in prepare.digits().items():  # the order on disk is the builder's
        np.testing.assert_array_equal(getattr(d, s).x, x)
        np.testing.assert_array_equal(getattr(d, s).y, y)
    assert (places / "tfds/digits/1.0.0/features.json").is_file()
    code = "from aejax import data\nd = data.load()\nassert len(d.test.x)"
    assert imported(code, ("jax", "sklearn", "PIL", "tensorflow_datasets")) == "[]"


def test_digits_beside_a_read_only_directory(places):
    """TFDS_DATA_DIR as a laboratory has it: for all to read."""
    (places / "tfds").mkdir(mode=0o555)
    assert data.load("digits").train.x.shape == (1297, 8, 8, 1)
    assert not list((places / "tfds").iterdir())


def test_digits_where_nothing_can_be_written(places, monkeypatch):
    (places / "file").touch()
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(places / "file" / "cache"))
    with pytest.raises(config.InputError, match="Not a directory.*set AEJAX_CACHE_DIR"):
        data.load("digits")
    monkeypatch.setenv("TFDS_DATA_DIR", str(places / "file" / "tfds"))
    with pytest.raises(config.InputError, match="Not a directory.*TFDS_DATA_DIR says"):
        data.load("digits")


def test_a_prepared_set_outside_the_catalogue(places, monkeypatch):
    monkeypatch.setattr(cache, "BLOCK", 7)
    x = images(40, (6, 5, 3))
    records = [{"image": v, "label": i % 7} for i, v in enumerate(x)]
    write_tfds(places / "tfds", "tiny", {"train": records, "validation": records[:3]})
    d = data.load("tiny")
    assert [len(getattr(d, s).x) for s in SPLITS] == [36, 3, 4]  # test: last of train
    assert (d.likelihood, d.scale, d.num_classes) == ("gaussian", 255, 7)
    where = {v.tobytes(): i for i, v in enumerate(x)}
    got = [where[v.tobytes()] for v in np.concatenate([d.train.x, d.test.x])]
    assert sorted(got) == list(range(40))
    y = np.concatenate([d.train.y, d.test.y])
    assert y.dtype == np.int32 and list(y) == [i % 7 for i in got]
    assert same(d, data.load("tiny")) and same(d, data.load("tiny:1.0.0"))


def test_sets_sorted_on_disk_are_shuffled_first(places):
    records = [
        {"image": v, "label": i // 50} for i, v in enumerate(images(300, (2, 2, 1)))
    ]
    write_tfds(places / "tfds", "tiny", {"train": records}, sorted_on_disk=True)
    d = data.load("tiny")
    assert [len(getattr(d, s).x) for s in SPLITS] == [240, 30, 30]
    assert len(set(d.valid.y)) > 3 and len(set(d.test.y)) > 3


@pytest.mark.parametrize("name", ["celeb_a", "omniglot", "dsprites", "binarized_mnist"])
def test_catalogue_rules(places, name):
    shape = {
        "celeb_a": (218, 178, 3),
        "omniglot": (105, 105, 3),
        "dsprites": (64, 64, 1),
    }
    x = images(12, shape.get(name, (28, 28, 1)))
    x = [v // 128 for v in x] if name in ("dsprites", "binarized_mnist") else x
    x[0][:] = 0
    label = {"omniglot": "label", "dsprites": "label_shape"}.get(name)
    records = [{"image": v} | ({label: 2} if label else {}) for v in x]
    write_tfds(places / "tfds", name, {"train": records, "test": records})
    d = data.load(name)
    entry = catalogue.ENTRIES[name]
    assert d.test.x.shape == (12, *entry.shape) and d.likelihood == entry.likelihood
    assert (d.test.y is None) == (label is None)
    black = 255 if name == "omniglot" else 0  # what x[0] becomes
    assert sum((v == black).all() for v in d.test.x) == 1
    assert d.train.x.max() / d.scale <= 1 and d.train.x.max() / d.scale > 0.5


def test_centre_crop_and_binary():
    image = np.zeros((218, 178, 3), np.uint8)
    image[39:179, 19:159] = 200  # exactly the central 140x140
    out = catalogue.ENTRIES["celeb_a"].transform(image)
    assert out.shape == (64, 64, 3) and (out == 200).all()
    binary = catalogue.ENTRIES["binarized_mnist"]
    for high in (1, 255):  # TFDS versions stored either
        x = np.array([0, high], np.uint8).reshape(1, 2, 1)
        assert binary.transform(x).ravel().tolist() == [0, 1]


def test_two_directories_are_not_confused(places, monkeypatch):
    for seed, root in enumerate(("tfds", "other")):
        records = [{"image": v} for v in images(20, (4, 4, 1), seed)]
        write_tfds(places / root, "tiny", {"train": records})
    first = data.load("tiny")
    monkeypatch.setenv("TFDS_DATA_DIR", str(places / "other"))
    assert not same(first, data.load("tiny"))


def test_configurations_must_be_chosen(places):
    for seed, name in enumerate(("one", "two")):
        records = [{"image": v} for v in images(20, (4, 4, 1), seed)]
        write_tfds(places / "tfds", "tiny", {"train": records}, config_name=name)
    with pytest.raises(config.InputError, match="choose one: tiny/one, tiny/two"):
        data.load("tiny")
    assert not same(data.load("tiny/one"), data.load("tiny/two"))


def test_unusable_prepared_sets_are_explained(places):
    records = [{"vector": np.ones(3, np.float32)} for _ in range(20)]
    write_tfds(places / "tfds", "vectors", {"train": records})
    with pytest.raises(config.InputError, match="hold vector; save the array"):
        data.load("vectors")
    records = [{"image": v} for v in images(20, (4, 4, 1))]
    folder = write_tfds(places / "tfds", "tiny", {"train": records})
    for shard in folder.rglob("*array_record*"):
        shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(config.InputError, match="tiny/1.0.0 cannot be read.*damaged"):
        data.load("tiny")


def test_an_unprepared_set_is_refused_at_once(places):
    with pytest.raises(config.InputError) as caught:
        data.load("kmnist")
    text = str(caught.value)
    assert len(text.splitlines()) <= 8 and str(places / "tfds") in text
    for needed in ("aejax.data prepare kmnist", "--from DIR", "--dataset digits"):
        assert needed in text
    with pytest.raises(config.InputError, match=r"aejax\[tensorflow\]"):
        data.load("cifar10")
    with pytest.raises(
        config.InputError, match="did you mean 'mnist'.*may also be a path"
    ):
        data.load("mnits")
