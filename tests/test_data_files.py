"""aejax.data: what people bring, as they bring it: labels, splits, names, messages."""

import os
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

from aejax import config, data, machine
from aejax.data import cache, images, paths
from aejax.report import pictures

SPLITS = ("train", "valid", "test")
F = np.ones((20, 3), np.float32)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(name, told):
    """Of one line of bounded length, at once."""
    start = time.perf_counter()
    with pytest.raises(config.InputError, match=told) as error:
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


# Classes by label --------------------------------------------------------------------


def labelled(y):
    """x of every row is the position of its label in sorted order."""
    y = np.asarray(y)
    return {"x": np.unique(y, return_inverse=True)[1][:, None] / 10.0, "y": y}


@pytest.mark.parametrize(
    ("labels", "text", "want"),
    [
        ([1, 2, 3], "1", [0]),
        ([1, 2, 3], "2-3", [1, 2]),
        ([0, 1, 3], "3", [2]),
        ([0, 1, 3], "0-2", [0, 1]),
        ([-1, 1], "-1", [0]),
        ([-7, -2, 1], "-7--2", [0, 1]),
        ([3, 10, 2**40], "4-99999999999999", [1, 2]),
        (["bad", "good"], "good", [1]),
        (["1", "10", "2", "good"], "1,good", [0, 3]),
        (["1", "10", "2", "good"], "0-2", [0, 2]),
        (["001", "002"], "2", [1]),
        (["a,b", "c", "d:e"], "a,b", [0]),
        (["a,b", "c", "d:e"], '"a,b",c', [0, 1]),
        (["a,b", "c", "d:e"], "d:e", [2]),
        (["1-2", "1", "2"], "1-2", [1]),
        ([b"x", b"y"], "y", [1]),
        ([False, True], "1", [1]),
    ],
)
def test_classes_are_chosen_by_their_labels(places, labels, text, want):
    np.savez("own.npz", **labelled(np.repeat(labels, 40)))
    d = data.load(f"own.npz:{text}")
    for split in (d.train, d.valid):
        assert sorted(set(np.rint(10 * split.x[:, 0]))) == want == sorted(set(split.y))
    assert len(set(d.test.y)) == len(labels) == d.num_classes
    bare = [n.decode() if isinstance(n, bytes) else n for n in labels]
    known = [str(int(n) if isinstance(n, bool) else n) for n in sorted(bare)]
    assert list(d.labels) == known and d.name == f"own.npz:{text}"
    # A class's name is found again whatever is in it, and so are those of several.
    whole = data.load("own.npz")
    for ids in (want, [0, len(labels) - 1]):
        assert set(data.load(data.view(whole, ids)).train.y) == set(ids)


def test_unknown_labels_are_told_with_those_there_are(places):
    np.savez("own.npz", **labelled(np.repeat([1, 2, 5], 40)))
    np.savez("many.npz", **labelled(np.repeat(np.arange(5000), 4)))
    np.save("bare.npy", F)
    for text in ("3", "good", "3-4", "1,good", "captions", "", "9" * 5000, "-", "2-1"):
        assert "labels are: 1, 2, 5" in refused(f"own.npz:{text}", "is no label")
    refused("many.npz:good", "and 4,980 more")
    refused("digits:good", "labels are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")
    refused("bare.npy:1", "has no classes to choose from")
    refused("absent.npz:1", "there is no file 'absent.npz'")
    refused("digitz:good", "'digitz' is unknown; did you mean 'digits'")
    assert set(data.load("digits:3-99999999999").train.y) == set(range(3, 10))


def test_a_path_with_a_colon_is_a_path(places):
    np.savez("a:1.npz", **labelled(np.repeat([1, 2], 40)))
    assert data.load("a:1.npz").num_classes == 2
    assert set(data.load("a:1.npz:2").train.y) == {1}
    draw_all(places / "b:good", {"x": 9, "y": 10})
    assert data.load("b:good").labels == ("x", "y")


def test_a_folder_does_not_hide_a_known_name(places):
    draw_all(places / "digits", {"a": 1})
    assert data.load("digits:3").train.x.shape[1:] == (8, 8, 1)
    assert data.load("digits:captions").train.y.ndim == 2
    refused("digits:captions:captions", "has captions already")


def test_labels_survive_the_cache_and_are_drawn(places):
    from matplotlib import figure

    draw_all(places / "own", {"cat": 1, "dog": 200}, 20)
    for _ in range(2):
        d = data.load("own")
        assert d.labels == ("cat", "dog") and data.labels(d) == {0: "cat", 1: "dog"}
        assert greys(data.load("own:dog").train) == [200]
    ax = figure.Figure().add_subplot()
    pictures.scatter(
        ax, np.random.default_rng(0).random((32, 2)), d.train.y, data.labels(d)
    )
    assert [t.get_text() for t in ax.texts] == ["cat", "dog"]
    assert data.labels(data.load("digits")) == {k: str(k) for k in range(10)}
    assert data.labels(data.load("digits:captions")) == {}


# Splits ------------------------------------------------------------------------------


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "dev", "VAL", None])
@pytest.mark.parametrize("inner", ["", "cat"])
def test_folders_called_splits_are_the_splits(places, valid, inner):
    parts = {"train": 10, "test": 200} | ({valid: 90} if valid else {})
    draw_all(places / "own", {f"{p}/{inner}": v for p, v in parts.items()}, 20)
    d = data.load("own")
    assert [greys(s) for s in d[1:4]] == [[10], [90 if valid else 10], [200]]
    assert [len(s.x) for s in d[1:4]] == [20 if valid else 18, 20 if valid else 2, 20]
    assert d.labels == (("cat",) if inner else ()) and d.num_classes == bool(inner)


def test_anomalies_laid_out_as_mvtec_has_them(places):
    kinds = {"train/good": 1, "test/good": 2, "test/broken": 3}
    draw_all(places / "bottle", kinds | {"ground_truth/broken": 255}, 20)
    d = data.load("bottle:good")
    assert d.labels == ("broken", "good") and d.num_classes == 2
    assert [greys(s) for s in d[1:4]] == [[1], [1], [2, 3]]
    assert (d.train.y == 1).all() and (
        (d.test.y == 0) == (d.test.x[:, 0, 0, 0] == 3)
    ).all()
    refused("bottle:broken", "no such class in train")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (["train", "test", "cat"], "cat lie beside"),
        (["train", "test", ""], "loose files lie beside"),
        (["train", "val", "valid"], "has both 'val' and 'valid'"),
        (["test"], "train is missing"),
        (["train", "test/good"], "each split, all at once or all in one sub-folder"),
        (["train/a/b", "test/a/b"], "for example: test/a/b/"),
        (["a", ""], "all at once or all in one sub-folder"),
        (["a/b", "a"], "all at once or all in one sub-folder"),
        (["a/b"], "for example: a/b/"),
    ],
)
def test_other_layouts_are_refused(places, parts, told):
    draw_all(places / "own", dict.fromkeys(parts, 9))
    refused("own", told)


def test_hidden_files_and_folders_are_passed_over(places):
    names = ("a", "b", ".ipynb_checkpoints", "a/.hidden")
    draw_all(places / "own", {name: i for i, name in enumerate(names)}, 10)
    draw(places / "own/a/.1.png", 77)
    d = data.load("own")
    assert d.labels == ("a", "b") and sum(len(s.x) for s in d[1:4]) == 20
    assert [f.name for f in paths.walk(places / "own/a")] == [
        f"{i}.png" for i in range(10)
    ]


# Names of arrays ---------------------------------------------------------------------


@pytest.mark.parametrize("end", ["valid", "val", "validation", "dev"])
@pytest.mark.parametrize("y", ["y", "label", "Labels"])
def test_other_names_of_splits_and_arrays(places, end, y):
    arrays = {
        f"x_{s}": np.full((9, 5, 1), v)
        for s, v in (("train", 0.1), (end, 0.9), ("TEST", 0.5))
    }
    arrays |= {f"{y}_{s}": np.arange(9) + 4 for s in ("train", end, "test")}
    arrays |= {f"lengths_{s}": np.full(9, 2) for s in ("train", end, "test")}
    np.savez("own.npz", **arrays, mean=F, class_train=F)
    d = data.load("own.npz")
    assert [float(s.x[0, 0, 0]) for s in d[1:4]] == [*map(np.float32, (0.1, 0.9, 0.5))]
    assert all((s.length == 2).all() for s in d[1:4])
    assert d.num_classes == 9 and list(d.test.y) == list(range(9))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": F, "y_val": np.arange(20)}, "holds y_val, of no name that is read"),
        ({"x_train": F, "x_val": F, "x_dev": F}, "has both x_val and x_dev"),
        ({"x": F, "y": np.arange(20), "labels": np.arange(20)}, "both y and labels"),
        *(
            ({"x": F, n: F}, f"holds {n}, of no name")
            for n in (
                "x_extra",
                "train_x",
                "mask",
                "seq_length",
                "y_names",
                "val",
                "targets",
            )
        ),
        ({"x": F} | {f"x_{i}": F[:1] for i in range(50)}, "and 40 more, of no name"),
        ({f"a{i}": F[:1] for i in range(300)}, "and 290 more"),
        ({"a\nb" * 99: F}, r"it holds: a\\nb"),
        (
            {"x_train": F, "x_test": F, "y_test": np.arange(20)},
            r"train has x and examples \(3,\) of float; test has x, y and",
        ),
    ],
)
def test_names_that_are_nearly_right_are_refused(places, arrays, told):
    np.savez("own.npz", **arrays)
    refused("own.npz", told)


# Values ------------------------------------------------------------------------------

SERIES = np.ones((20, 5, 1), np.float32)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"length": np.full(20, 2.5)}, "length of 'own.npz' must be whole numbers"),
        ({"length": np.full(20, np.nan)}, "must be whole numbers"),
        ({"length": np.full(20, "3")}, "must be whole numbers, but it is <U1"),
        ({"length": np.full(20, 2**32 + 3)}, "runs from 4294967299"),
        ({"lengths": np.full(20, 0)}, "lengths of 'own.npz' runs from 0"),
        ({"y": np.full((20, 2), 2**31)}, "must be captions: .*below 1,048,576"),
        ({"y": np.full((20, 2), 2**40)}, "must be captions"),
        (
            {"x": np.ones((9, 3, 8, 7))},
            r"shape \(9, 3, 8, 7\).*x.transpose\(0, 2, 3, 1\)",
        ),
        ({"x": np.ones((9, 1, 131, 2))}, "channels come last"),
        ({"x": np.full((9, 4, 8, 8), 5, np.uint8)}, "channels come last"),
        ({"x": np.array([object()])}, "pickled objects"),
    ],
)
def test_bad_values_are_explained(places, arrays, told):
    np.savez("own.npz", **{"x": SERIES} | arrays)
    assert "allow_pickle" not in refused("own.npz", told)


def test_what_is_no_array_in_an_archive_is_refused(places):
    import zipfile

    np.savez("own.npz", x=F)
    for name in ("y", "length"):
        with zipfile.ZipFile("own.npz", "a") as file:
            file.writestr(name, b"text")
        refused("own.npz", "its member y is no array")
    np.save("own.npy", np.array([{}]), allow_pickle=True)
    assert "allow_pickle" not in refused("own.npy", "pickled objects.*refused")


@pytest.mark.parametrize(
    "shape", [(9, 8, 8, 5), (9, 3, 8, 3), (9, 4, 4, 2), (9, 8, 8, 1)]
)
def test_channels_that_come_last_are_not_suspected(places, shape):
    np.save("own.npy", np.ones(shape))
    assert data.load("own.npy").train.x.shape[1:] == shape[1:]


def test_lengths_may_be_stored_as_floats_and_padding_may_be_nan(places):
    length = np.arange(20) % 5 + 1
    x = np.where(np.arange(5) < length[:, None], 0.5, np.nan)[..., None]
    np.savez("own.npz", x=x, length=length.astype(float))
    d = data.load("own.npz")
    assert d.likelihood == "bernoulli" and d.train.length.dtype == np.int32
    for split in d[1:4]:
        valid = np.arange(5) < split.length[:, None]
        np.testing.assert_array_equal(split.x[..., 0], valid / np.float32(2))
    np.savez("own.npz", x=x, length=np.minimum(length + 1, 5))
    refused("own.npz", "has 16 entries that are not finite.*length of")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white_as_viewers_show_it(places, mode):
    (places / "own").mkdir()
    image, more = Image.new("RGBA", (4, 4), (200, 200, 200, 255)), {}
    image.paste((60, 60, 60, 0), (0, 0, 2, 4))  # hidden
    if "A" not in mode:
        bare = image.convert("RGB")
        image = bare.quantize(2) if mode == "P" else bare.convert(mode)
        more = {"transparency": image.getpixel((0, 0))}
    for i in range(9):
        image.convert(mode).save(places / f"own/{i}.png", **more)
    with Image.open(places / "own/0.png") as stored:
        assert stored.mode == mode
    d = data.load("own")
    assert (d.train.x[:, :, :2] == 255).all() and (d.train.x[:, :, 2:] == 200).all()
    if mode == "P":  # of which no such file is known
        image = image.convert("PA")
        image.putalpha(Image.fromarray(np.tile(np.uint8([0, 0, 255, 255]), (4, 1))))
        white = np.asarray(images._on_white(image).convert("L"))
        assert white[0].tolist() == [255, 255, 200, 200]


def test_half_transparent_pixels_are_mixed_and_opaque_ones_as_they_were(places):
    draw(places / "a.png", (200, 0, 100, 128), "RGBA")
    draw(places / "b.png", (200, 0, 100, 255), "RGBA")
    (places / "own").mkdir()
    for i in range(9):
        os.link(places / "a.png", places / f"own/{i}.png")
    half = data.load("own").train.x[0, 0, 0].astype(int)
    want = 255 - (255 - np.array([200, 0, 100])) * 128 / 255
    assert abs(half - want).max() <= 1
    noise = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3)).astype(np.uint8)
    for i, x in enumerate(noise):
        opaque = np.concatenate([x, np.full((4, 4, 1), 255, np.uint8)], -1)
        draw(places / f"opaque/{i}.png", 0)
        Image.fromarray(opaque).save(places / f"opaque/{i}.png")
    d = data.load("opaque")
    got = {x.tobytes() for s in d[1:4] for x in s.x}
    assert got == {x.tobytes() for x in noise}


# Messages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("t.csv", r"np.loadtxt\('t.csv', delimiter=','"),
        ("t.tsv", r"np.loadtxt\('t.tsv'"),
        ("t.mat", "scipy.io.loadmat"),
        ("t.parquet", "pandas.read_parquet"),
        ("t.pkl", "what is read is .npz"),
        ("notes", "a folder of images and a folder of MIDI files"),
        ("one.png", "give its folder, '.'"),
        ("one.mid", "give its folder, '.'"),
        ("x.npy", "no readable .npy or .npz file of numbers .it begins as neither"),
    ],
)
def test_other_files_are_told_what_is_read(places, name, told):
    (places / name).write_bytes(b"1,2\n3,4\n")
    assert "ickle" not in refused(name, told)


def test_too_few_examples_name_their_data_set(places):
    np.save("own.npy", F[:2])
    refused("own.npy", "'own.npy' has 2 in train: too few")
    draw_all(places / "folder", {"": 3}, 1)
    refused("folder", "'folder' has 1 in train: too few")


def test_messages_are_bounded():
    told = str(config.unknown("thing", "x\n" * 900, [f"n{i}" for i in range(10_000)]))
    assert len(told) < 600 and "and 9,960 more" in told and "\n" not in told


# What is no file ---------------------------------------------------------------------


def test_pipes_sockets_and_devices_are_not_opened(places):
    for name in ("fifo.npz", "fifo.txt", "fifo", "fifo.json"):
        os.mkfifo(name)
        refused(name, "is a device, a pipe or a socket")
    refused("/dev/zero", "is a device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.npz")
        refused("socket.npz", "is a device")
    for make in (os.mkfifo, lambda path: os.symlink("nowhere", path)):
        for suffix in (".png", ".mid"):
            folder = places / f"{make.__name__}{suffix}"
            draw_all(folder, {"": 3})
            make(folder / f"a{suffix}")
            refused(folder, f"/a{suffix}' is no file .a link to nothing")


def test_odd_names_are_input_errors(places):
    for n in (300, 5000):
        refused("a" * n, "is unknown")
    refused("a" * 300 + ".npz", "there is no file.*too long")
    refused("/".join("a" * 99 for _ in range(60)), "is unknown")
    refused("~nobody9/x.npz", "'~nobody9/x.npz': ")
    refused("a\0b.npz", r"there is no file 'a\\x00b.npz' .*null")
    refused("a\0b", "is unknown")
    refused(":", "is unknown")
    refused("", "is unknown")


def test_a_file_system_is_not_searched_for_data(places, monkeypatch):
    monkeypatch.setattr(paths, "MOST", 30)
    draw_all(places / "own/a", {"": 9})
    for i in range(40):
        (places / f"own/a/{i}.xml").touch()
    assert len(data.load("own").test.x)  # as many as three beside each are no concern
    for i in range(40):
        (places / f"own/{i}").mkdir()
    refused("own", "holds more than 30 entries that are no .png")


def test_folders_that_cannot_be_read_and_circles_of_links(places, monkeypatch):
    draw_all(places / "own", {"a": 1, "b": 2}, 10)
    os.symlink("..", places / "own/a/up")
    (places / "own/secret").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(paths.os, "scandir", scandir)
    assert data.load("own").labels == ("a", "b")
    (places / "secret").mkdir()
    refused("secret", "secret cannot be read: Permission denied")


# Memory and the cache ----------------------------------------------------------------


def test_more_than_memory_holds_is_refused_before_it_is_read(places, monkeypatch):
    np.savez("own.npz", x=np.ones((40, 100)), other=np.ones((100, 1000)))
    np.save("own.npy", np.ones((40, 100)))
    draw_all(places / "folder", {"": 3})
    told = "MemAvailable: {} kB\n"
    monkeypatch.setattr(machine.Path, "read_text", lambda self: told.format(30))
    for name in ("own.npz", "own.npy"):
        refused(name, f"'{name}' takes 0.0 GB of memory.*fewer or smaller")
    monkeypatch.setattr(machine.Path, "read_text", lambda self: told.format(0))
    refused("folder", "'folder' takes")
    monkeypatch.setattr(machine.Path, "read_text", lambda self: told.format(40))
    assert len(data.load("own.npz").train.x)  # what is not read does not count


def test_out_of_memory_is_one_paragraph(places, monkeypatch):
    np.save("own.npy", F)

    def load(*args, **more):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr(np, "load", load)
    refused("own.npy", "'own.npy' does not fit into memory .Unable to allocate 9 GiB")


def entry(places, value=1.0, during=lambda: None):
    def build():
        during()
        rows = lambda at: {"x": np.full((len(at), 2), value, np.float32)}  # noqa: E731
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
