"""Files that cannot be read: listed at once, or left out and counted."""

import numpy as np
import pytest
from PIL import Image

from aejax import data
from tests.data.common import SPLITS, draw, draw_all, greys, refused

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


def break_some(folder):
    """Kinds of damage: no image, cut off in its pixels, empty."""
    draw_all(folder, {"a": 10, "b": 200}, 10)
    (folder / "a/0.png").write_bytes(b"no image")
    (folder / "b/1.png").write_bytes(b"")
    (folder / "b/2.png").unlink()
    Image.fromarray(NOISE).save(folder / "b/2.jpg")  # its header alone is whole
    (folder / "b/2.jpg").write_bytes((folder / "b/2.jpg").read_bytes()[:3000])


def test_all_that_is_unreadable_is_listed(places):
    break_some(places / "own")
    message = refused("own@size=4", "a/0.png' is no readable image .cannot identify")
    assert "nor are others, 2: " in message and "b/1.png (" in message
    assert "b/2.jpg (" in message and "'own@size=4,skip_bad=3'" in message
    refused("own@size=4,skip_bad=2", "skip_bad=3'")
    d = data.load("own@size=4,skip_bad=3")
    assert sum(len(s.x) for s in d[1:4]) == 17 and d.labels == ("a", "b")
    assert all((s.y == (s.x[:, 0, 0, 0] > 99)).all() for s in d[1:4])
    assert d.notes[0].startswith("3 unreadable files are left out: ")
    assert data.load("own@size=4,skip_bad=3").notes == d.notes  # out of the cache


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif", ".webp", ".gif"])
def test_pixels_that_are_cut_off_are_seen(places, suffix):
    """Their headers are whole: they are met in the middle of decoding."""
    (places / "own").mkdir()
    for i in range(12):
        Image.fromarray(NOISE).save(places / f"own/{i:02}{suffix}")
    for i in (3, 7):
        path = places / f"own/{i:02}{suffix}"
        path.write_bytes(path.read_bytes()[:3000])
    message = refused("own", f"03{suffix}' is no readable image")
    assert "nor are others, 1: " in message and "skip_bad=2" in message
    assert sum(len(s.x) for s in data.load("own@skip_bad=2")[1:4]) == 10
    assert not list((places / "cache/data").glob("unfinished*"))


def test_a_split_without_a_readable_image_is_refused(places):
    draw_all(places / "own", {"train": 5, "test": 6}, 9)
    for i in range(9):
        (places / f"own/test/{i}.png").write_bytes(b"x")
    refused("own@skip_bad=9", "has 9 in train, 0 in test: too few")


def test_a_list_of_paths_is_a_data_set(places):
    draw_all(places / "pictures", {"a": 10, "b": 200}, 10)
    lines = [f"pictures/{k}/{i}.png,{k}{k}" for k in "ab" for i in range(10)]
    (places / "own.csv").write_text("\n".join(["Path,label", *lines, "", ""]))
    d = data.load("own.csv")
    assert d.labels == ("aa", "bb") and [len(s.x) for s in d[1:4]] == [16, 2, 2]
    assert all((s.y == (s.x[:, 0, 0, 0] > 99)).all() for s in d[1:4])
    assert greys(data.load("own.csv:bb").train) == [200]
    (places / "own.csv").write_text(
        "\n".join(["path,label", *lines]).replace("bb", "0")
    )
    assert data.load("own.csv").labels == ("0", "aa")  # the list itself has changed
    assert data.load("own.csv@size=2").test.x.shape[1:] == (2, 2, 1)
    lines = [f"{line},{'val' if i % 5 else 'Train'}" for i, line in enumerate(lines)]
    (places / "own.csv").write_text("\ufeff" + "\n".join(["path,label,split", *lines]))
    d = data.load("own.csv")
    assert [len(s.x) for s in d[1:4]] == [3, 16, 1]
    bare = [line.split(",")[0] for line in lines]
    (places / "bare.csv").write_text("\n".join(["id,path", *(f"1,{b}" for b in bare)]))
    assert (d := data.load("bare.csv")).labels == () and d.train.y is None
    assert sum(len(getattr(d, s).x) for s in SPLITS) == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\np.png,a\np.png\n", "line 3 is 'p.png'; every line has a path"),
        ("path,label\np.png\np.png,a\n", "line 3 is 'p.png,a'"),
        ("path,split\np.png,spare\n", "line 2 has the split 'spare'"),
        ("path,path\n", "two columns path"),
        ("path\n", "0 in train: too few"),
        ("path,split\np.png,test\n", "0 in train, 1 in test"),
        (
            "path\nq.png\np.png\n",
            "q.png' is no readable image .line 2: there is no suc",
        ),
        ("file,label\np.png,a\n", "1 in train: too few"),
        ("path\n\0\n", "is no readable|none of these|no readable image"),
    ],
)
def test_lists_that_are_none_are_refused(places, text, message):
    draw(places / "p.png", 3)
    (places / "own.csv").write_text(text)
    refused("own.csv", message)
