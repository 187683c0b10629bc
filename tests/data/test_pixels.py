"""Pixels of images of all modes and sizes, against the arrays they were made of."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from aejax import data
from tests.data.common import SPLITS, draw, draw_all, refused

GREY = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def save(image, file, count=9, folder="own", **how):
    for i in range(count):
        (path := pathlib.Path(folder)).mkdir(exist_ok=True)
        image.save(path / f"{i}{file}", **how)


def first(name="own"):
    return (d := data.load(name)).train.x[0], d.notes


WIDE = GREY.astype(np.uint16) * 256 + np.random.default_rng(2).integers(0, 256, (5, 7))
PALETTE = Image.fromarray(RGB).quantize(40)
FORMS = {  # image, suffix, how it is saved, what its pixels are, a word of the note
    "1 bit": (Image.fromarray(GREY > 99), ".png", {}, 255 * (GREY > 99), ""),
    "grey": (Image.fromarray(GREY), ".tif", {}, GREY, ""),
    "16 bits": (Image.fromarray(WIDE.astype(np.uint16)), ".png", {}, GREY, "upper 8"),
    "16 tiff": (Image.fromarray(WIDE.astype(np.uint16)), ".tiff", {}, GREY, "upper 8"),
    "32 bits": (Image.fromarray(WIDE.astype(np.int32)), ".tif", {}, GREY, "upper 8"),
    "palette": (PALETTE, ".png", {}, np.asarray(PALETTE.convert("RGB")), ""),
    "colour": (Image.fromarray(RGB), ".BMP", {}, RGB, ""),
    "webp": (Image.fromarray(RGB), ".webp", {"lossless": True}, RGB, ""),
    "gif": (PALETTE, ".gif", {}, np.asarray(PALETTE.convert("RGB")), ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_are_those_that_were_saved(places, form):
    image, suffix, how, want, word = FORMS[form]
    save(image, suffix, **how)
    x, notes = first()
    np.testing.assert_array_equal(x, np.atleast_3d(want))
    assert word in "".join(notes) and len(notes) == bool(word)


def test_cmyk_is_made_rgb(places):
    cyan = Image.new("CMYK", (7, 5), (255, 0, 0, 0))
    save(cyan, ".jpg", quality=100, subsampling=0)
    x, notes = first()
    assert abs(x.astype(int) - [0, 255, 255]).max() < 6 and "9 of CMYK" in notes[0]


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".png"])
def test_of_several_frames_the_first_is_taken(places, suffix):
    frames = [Image.new("RGB", (4, 4), (9 + 90 * i, 0, 0)) for i in range(3)]
    how = {"lossless": True} if suffix == ".webp" else {}
    save(frames[0], suffix, save_all=True, append_images=frames[1:], **how)
    x, notes = first()
    assert (x[..., 0] == 9).all() and "9 of several frames" in notes[0]


def test_floats_are_refused(places):
    save(Image.fromarray(np.float32(GREY)), ".tif")
    refused("own", "9 images in 'own' are of floats")
    save(Image.fromarray(np.int32(GREY) << 17), ".tif", folder="deep")
    refused("deep", "its levels are not of 16 bits")


def test_grey_among_colours_is_counted(places):
    draw_all(places / "own", {"": 7})
    draw(places / "own/c.png", (1, 2, 3), "RGB")
    d = data.load("own")
    assert d.train.x.shape[1:] == (4, 4, 3)
    assert d.notes == ("of 6 images 5 grey among coloured ones (all are RGB)",)
    assert data.load("own").notes == d.notes  # out of the cache


def wide(values=(10, 20, 30)):
    """12 x 4 (width, height), three squares of one grey each."""
    return Image.fromarray(np.repeat(np.uint8([values] * 4), 4, axis=1))


@pytest.mark.parametrize(
    ("ask", "want"),
    [
        ("size=4", [[20] * 4] * 4),
        ("size=4,fit=crop", [[20] * 4] * 4),
        ("size=12,fit=pad", [[255] * 12] * 4 + [[10] * 4 + [20] * 4 + [30] * 4] * 4),
        ("size=12x4", [[10] * 4 + [20] * 4 + [30] * 4] * 4),
        ("size=3x1,fit=stretch", [[12, 20, 28]]),  # the filter reaches a neighbour
    ],
)
def test_images_are_brought_to_one_size(places, ask, want):
    save(wide(), ".png")
    draw(places / "own/other.png", 20, size=(5, 9))
    assert "'own@size=4' (the middle)" in refused("own", "one size and have 2: 12x4")
    d = data.load(f"own@{ask}")
    want = np.array(want + [[255] * 12] * 4 if "pad" in ask else want)
    rows = [x[..., 0] for s in SPLITS for x in getattr(d, s).x]
    assert sum(abs(x.astype(int) - want).max() <= 1 for x in rows) >= 9
    assert all(x.shape == want.shape for x in rows) and d.name == f"own@{ask}"
    assert "made" in d.notes[0]


def test_images_of_that_size_stay_as_they_are(places):
    save(Image.fromarray(GREY), ".png")
    for ask in ("size=7x5", "size=7x5,fit=pad", "size=7x5,fit=stretch"):
        x, notes = first(f"own@{ask}")
        np.testing.assert_array_equal(x[..., 0], GREY)
        assert notes == ()


def test_turned_photos_are_fitted_upright(places):
    facts = Image.Exif()
    facts[0x0112] = 6  # shown after a quarter turn clockwise: 4 x 12
    save(wide(), ".png", exif=facts)
    x, notes = first("own@size=4x12")
    assert x[:, 0, 0].tolist() == [10] * 4 + [20] * 4 + [30] * 4
    assert notes == ("of 9 images 9 turned as EXIF says",)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        ("size=0", "whole number from 1 to 4,096"),
        ("size=x", "size of 'own' is ''"),
        ("size=4x", "size of 'own' is ''"),
        ("size=9999999999999", "whole number"),
        ("size=4.5", "'4.5'"),
        ("size", "'size' cannot be asked of 'own': what can be is own@size=64"),
        ("fit=pad", "own@size=64,fit=pad"),
        ("size=4,fit=crap", "did you mean 'crop'"),
        ("labels=paths", "did you mean 'path'"),
        ("skip_bad=-1", "whole number from 0"),
        ("skip_bad=²", "whole number from 0"),
        ("scale=2", "cannot be asked of 'own'"),
    ],
)
def test_other_asks_of_images_are_refused(places, ask, message):
    draw_all(places / "own", {"a": 7})
    refused(f"own@{ask}", message)
