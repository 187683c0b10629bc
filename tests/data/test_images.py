"""Folders of images, shown as viewers show them: transparency, orientation."""

import os

import numpy as np
import pytest
from PIL import Image

from aejax import config, data
from aejax.data import pixels
from tests.data.common import SPLITS, draw


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(places, mode):
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
        white = np.asarray(pixels.on_white(image).convert("L"))
        assert white[0].tolist() == [255, 255, 200, 200]


def test_half_transparent_pixels_are_mixed(places):
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


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pictures_are_turned_as_viewers_turn_them(places, orientation):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    (places / "turned").mkdir()
    for i in range(3):
        image, facts = Image.fromarray(pixels), Image.Exif()
        facts[0x0112] = orientation
        image.save(places / "turned" / f"{i}.png", exif=facts)
    x = data.load("turned").train.x[0, ..., 0]
    turns = {1: 0, 3: 2, 6: -1}[orientation]
    np.testing.assert_array_equal(x, np.rot90(pixels, turns))
