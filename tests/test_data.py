"""aejax.data: prepared sets, own files, the cache, preparing, prefetching."""

import io
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aejax import config, data
from aejax.data import __main__ as command
from aejax.data import cache, catalogue, prepare, prepared

SHARED = Path(__file__).parents[2] / "shared" / "data"
SPLITS = ("train", "valid", "test")


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


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


# digits ------------------------------------------------------------------------------


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


def test_digits_beside_a_shared_directory_that_is_read_only(places):
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


# Prepared by TFDS --------------------------------------------------------------------


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


def test_sets_sorted_on_disk_are_shuffled_before_carving(places):
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


def test_other_data_in_another_directory_is_not_confused(places, monkeypatch):
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
    at = write_tfds(places / "tfds", "tiny", {"train": records})
    for shard in at.rglob("*array_record*"):
        shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(config.InputError, match="tiny/1.0.0 cannot be read.*damaged"):
        data.load("tiny")


def test_not_prepared_is_told_at_once(places):
    with pytest.raises(config.InputError) as told:
        data.load("kmnist")
    text = str(told.value)
    assert len(text.splitlines()) <= 8 and str(places / "tfds") in text
    for needed in ("aejax.data prepare kmnist", "--from DIR", "--dataset digits"):
        assert needed in text
    with pytest.raises(config.InputError, match=r"aejax\[tensorflow\]"):
        data.load("cifar10")
    with pytest.raises(
        config.InputError, match="did you mean 'mnist'.*may also be a path"
    ):
        data.load("mnits")


# The cache ---------------------------------------------------------------------------


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


# Own files ---------------------------------------------------------------------------


def test_only_x_is_shuffled_and_split(places):
    x = np.arange(100, dtype=np.float64)[:, None] / 50
    y = np.repeat(["b", "a"], 50)
    np.savez(places / "own.npz", x=x, y=y, other=np.array([object()]))
    d = data.load(str(places / "own.npz"))
    assert [len(getattr(d, s).x) for s in SPLITS] == [80, 10, 10]
    rows = np.concatenate([getattr(d, s).x[:, 0] for s in SPLITS])
    assert rows.dtype == np.float32 and sorted(rows) == sorted(
        x[:, 0].astype(np.float32)
    )
    assert (d.likelihood, d.scale, d.num_classes) == ("gaussian", 1, 2)
    assert all(((s.x[:, 0] < 1) == (s.y == 1)).all() for s in d[1:4])  # b is 1
    assert 2 <= sum(d.valid.y) <= 8
    assert same(d, data.load(str(places / "own.npz")))
    np.save(places / "own.npy", x / 2)
    assert data.load(str(places / "own.npy")).likelihood == "bernoulli"


def test_given_splits_are_kept(places):
    x = np.random.default_rng(0).integers(0, 256, (30, 4, 4)).astype(np.uint8)
    y = np.arange(30) * 10 - 3
    arrays = {
        "x_train": x[:20],
        "x_valid": x[20:25],
        "y_train": y[:20],
        "y_valid": y[20:25],
    }
    np.savez(places / "own.npz", **arrays, x_test=x[25:], y_test=y[25:])
    d = data.load(str(places / "own.npz"))
    assert d.scale == 255 and d.likelihood == "bernoulli" and d.num_classes == 30
    np.testing.assert_array_equal(d.train.x, x[:20, :, :, None])
    assert list(d.valid.y) == list(range(20, 25)) and d.test.y.dtype == np.int32


def test_bool_and_sequences(places):
    np.save(places / "bool.npy", np.eye(20, dtype=bool))
    d = data.load(str(places / "bool.npy"))
    assert (d.train.x.dtype, d.train.x.max(), d.scale) == (np.uint8, 1, 1)
    length = np.arange(20) % 5 + 1
    x = np.arange(20.0)[:, None, None] + np.zeros((20, 5, 2))
    np.savez(places / "seq.npz", x=x, length=length)
    d = data.load(str(places / "seq.npz"))
    assert d.train.x.shape == (16, 5, 2)
    np.testing.assert_array_equal(d.train.length, d.train.x[:, 0, 0] % 5 + 1)


@pytest.mark.parametrize("given", [(), ("valid",), ("valid", "test")])
def test_factors_follow_their_rows_through_every_carving(places, given):
    """x of every row is made of its factors, so any other order is seen."""
    v = np.random.default_rng(0).integers(0, 7, (600, 3)).astype(np.int16)
    mix = np.float32([[1, 0.1], [10, 0], [0, 5]])
    arrays = {"x": v @ mix, "y": v[:, 0] // 2, "factors": v}
    if given:
        cuts = zip(("train", *given), np.array_split(np.arange(600), 3), strict=False)
        parts = {s: {n: a[at] for n, a in arrays.items()} for s, at in cuts}
        arrays = {f"{n}_{s}": a for s, part in parts.items() for n, a in part.items()}
    np.savez(places / "own.npz", **arrays)
    whole = str(places / "own.npz")
    for name in (whole, f"{whole}:0,3"):
        d = data.load(name)
        for s in SPLITS:
            part, known = getattr(d, s), d.factors[s]
            np.testing.assert_allclose(part.x, known @ mix, rtol=1e-6)
            np.testing.assert_array_equal(part.y, known[:, 0] // 2)
        assert data.factor_names(name) == ("factor 0", "factor 1", "factor 2")
    assert set(d.train.y) == {0, 3} and len(set(d.test.y)) == 4
    np.savez(places / "own.npz", **arrays, factor_names=["a", "b", "c"])
    assert data.load(whole).factor_names == ("a", "b", "c")


F = np.ones((20, 3), np.float32)
V = np.arange(60).reshape(20, 3)
HOLE = np.where(np.arange(60).reshape(20, 3) == 7, np.nan, F)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": HOLE}, r"x of .* has 1 entries .*index \(2, 1\)"),
        ({"x_train": F, "x_test": HOLE * np.inf}, "x_test of .* has 60 entries"),
        ({"x": np.array([object()])}, "pickled objects"),
        ({"x": np.ones((0, 3))}, r"shape \(0, 3\)"),
        ({"x": np.ones(5)}, r"shape \(5,\)"),
        ({"x": np.ones((2, 2, 2, 2, 2))}, "must be"),
        ({"x": F, "y": np.arange(19)}, r"y of .* has shape \(19,\) but x has 20 rows"),
        ({"x": F, "y": np.arange(20.0)}, "labels are whole numbers or strings"),
        ({"x_train": F, "x_test": F[:, :2]}, r"alike.*\(3,\).*\(2,\)"),
        ({"x_train": F, "x_test": F, "y_train": np.arange(20)}, "alike"),
        ({"x_train": F, "x_test": F > 0}, "alike"),
        ({"x": F, "x_test": F}, "either x or x_train"),
        ({"x_test": F}, "either x or x_train"),
        ({"a": F, "b": F}, "it holds: a, b"),
        ({"x": np.full((20, 3), 9)}, "dtype int64; .*grey levels from 0 to 255"),
        ({"x": np.full((20, 3), -9)}, r"dtype int64; .*save x.astype\(np.float32\)"),
        ({"x": np.eye(20, dtype=np.uint8)}, r"astype\(bool\)"),
        ({"x": np.ones((20, 4, 2)), "length": np.arange(20)}, "runs from 0 to 19"),
        ({"x": F[:2]}, "too few"),
        ({"x": F, "factors": F}, r"factors of .*float32; it must be \(20, F\)"),
        ({"x": F, "factors": V[:, 0]}, r"has shape \(20,\) and dtype int64"),
        ({"x": F, "factors": V[:9]}, r"has shape \(9, 3\)"),
        ({"x": F, "factors": V[:, :0]}, r"has shape \(20, 0\)"),
        (
            {"x_train": F, "x_test": F, "factors_train": V},
            "and factors for all or none",
        ),
        ({"x": F, "factors": V, "factor_names": ["a", "b"]}, r"names shape \(2,\)"),
        ({"x": F, "factors": V, "factor_names": ["a", "b", "a"]}, "a name of its own"),
        ({"x": F, "factors": V, "factor_names": [1, 2, 3]}, "dtype int64; every"),
        (
            {"x_train": F, "x_test": F, "factors_train": V, "factors_test": V[:, :2]},
            "have 3, 2 columns",
        ),
    ],
)
def test_bad_arrays_are_explained(places, arrays, told):
    with np.errstate(divide="ignore", invalid="ignore"):
        np.savez(places / "own.npz", **arrays)
    with pytest.raises(config.InputError, match=told) as error:
        data.load(str(places / "own.npz"))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "content", [b"", b"1,2\n3,4\n", b"PK\3\4", b"\x93NUMPY\1\0v\0{"]
)
def test_no_array_file(places, content):
    for name in ("own.npz", "own.npy"):
        (places / name).write_bytes(content)
        with pytest.raises(config.InputError, match="no readable .npy or .npz"):
            data.load(str(places / name))
    with pytest.raises(config.InputError, match="there is no file"):
        data.load(str(places / "absent.npz"))


def write_images(folder, x):
    folder.mkdir(parents=True)
    for i, v in enumerate(x):
        Image.fromarray(v).save(folder / f"{i}.png")


def test_folder_of_images(places):
    dark, light = np.zeros((10, 5, 4), np.uint8), np.full((20, 5, 4), 250, np.uint8)
    write_images(places / "own/light", light)
    write_images(places / "own/dark", dark)
    d = data.load(str(places / "own"))
    assert [len(getattr(d, s).x) for s in SPLITS] == [24, 3, 3]
    assert d.train.x.shape[1:] == (5, 4, 1) and (d.scale, d.num_classes) == (255, 2)
    assert 0 < d.train.y[:10].sum() < 10  # not in the order of the folders
    assert all(((s.x[:, 0, 0, 0] > 100) == (s.y == 1)).all() for s in d[1:4])
    write_images(places / "mixed", [*np.zeros((9, 5, 4, 3), np.uint8), dark[0]])
    d = data.load(str(places / "mixed"))
    assert d.train.x.shape == (8, 5, 4, 3) and d.train.y is None  # one colour: all RGB
    Image.fromarray(light[0]).save(places / "own/dark/0.png")  # seen, not the cache
    d = data.load(str(places / "own"))
    assert sum((s.x[:, 0, 0, 0] > 100).sum() for s in d[1:4]) == 21
    Image.fromarray(light[0, :3]).save(places / "own/dark/1.png")
    with pytest.raises(config.InputError, match="one size.*4x5.*4x3"):
        data.load(str(places / "own"))
    (places / "own/dark/1.png").write_bytes(b"no image")
    with pytest.raises(config.InputError, match="1.png' is no readable image"):
        data.load(str(places / "own"))
    (places / "empty").mkdir()
    with pytest.raises(config.InputError, match="holds no images"):
        data.load(str(places / "empty"))


@pytest.mark.parametrize(
    ("x", "scale", "likelihood", "told"),
    [
        (np.full((2, 3), -0.5, np.float32), 1.0, "bernoulli", "from -0.5 to -0.5"),
        (
            np.full((2, 3), 1.5, np.float32),
            1.0,
            "continuous_bernoulli",
            "--likelihood ga",
        ),
        (np.full((2, 3), 17, np.uint8), 16.0, "categorical", "to 1.0625"),
        (np.full((2, 3), 0.5, np.float32), 1.0, "categorical", "stored as float32"),
        (np.full((2, 3), 0.5, np.float32), 1.0, "gausian", "did you mean 'gaussian'"),
        (np.full((2, 3), 0.5, np.float32), 1.0, "bernoulli", None),
        (np.full((2, 3), 16, np.uint8), 16.0, "categorical", None),
        (np.full((2, 3), -9, np.float32), 1.0, "gaussian_learned", None),
        (np.full((2, 3), -9, np.float32), 1.0, "auto", None),
    ],
)
def test_check_likelihood(x, scale, likelihood, told):
    split = data.Split(x)
    d = data.Dataset("own", split, split, split, "gaussian", scale)
    if told is None:
        return data.check_likelihood(d, likelihood)
    with pytest.raises(config.InputError, match=told):
        data.check_likelihood(d, likelihood)


@pytest.mark.shared
def test_ecg5000():
    if not (SHARED / "ecg5000.npz").exists():
        pytest.skip(f"{SHARED} has no ecg5000.npz")
    d = data.load(str(SHARED / "ecg5000.npz"))
    assert [s.x.shape for s in d[1:4]] == [(450, 140), (50, 140), (4500, 140)]
    assert (d.likelihood, d.num_classes) == ("gaussian", 2)
    assert 5 < sum(d.valid.y) < 45


# Preparing ---------------------------------------------------------------------------


@pytest.mark.shared
def test_mnist_prepared_from_its_originals(places, monkeypatch, capfd):
    if not (SHARED / "originals" / "mnist").exists():
        pytest.skip(f"{SHARED} has no originals/mnist")
    originals = str(SHARED / "originals" / "mnist")
    assert command.main(["prepare", "fashion_mnist", "--from", originals]) == 2
    told = capfd.readouterr().err
    assert "may have other contents" in told and "train-images-idx3-ubyte.gz" in told
    assert not (places / "tfds" / "fashion_mnist").exists()
    assert command.main(["prepare", "mnist", "--from", originals]) == 0
    assert prepare.prepare("mnist") == prepared.find("mnist")  # at once
    import tensorflow_datasets as tfds

    raw = {"image": tfds.decode.SkipDecoding()}
    stock, ours = (
        tfds.data_source("mnist", data_dir=root, download=False, decoders=raw)
        for root in (SHARED / "tfds", places / "tfds")
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
def test_mnist(monkeypatch):
    if not (SHARED / "tfds" / "mnist").exists():
        pytest.skip(f"{SHARED} has no tfds/mnist")
    monkeypatch.setenv("TFDS_DATA_DIR", str(SHARED / "tfds"))
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
