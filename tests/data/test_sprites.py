"""Sprites: pictures that show their five factors, prepared and read like any data."""

import math

import numpy as np
import pytest
from scipy import ndimage

from aejax import config, data
from aejax.data import __main__ as command
from aejax.data import catalogue, prepare, sprites

SPLITS = ("train", "valid", "test")
NAME = "sprites_5000"


@pytest.fixture(scope="module")
def drawn():
    """All 30,000: factors (N, 5) and images (N, 32, 32) from 0 to 1."""
    v = np.concatenate(list(sprites.factors("sprites").values()))
    return v, sprites.render(v)[..., 0] / np.float32(255)


def moments(x):
    """Area, centroid (x, y) right and down, covariance (xx, yy, xy): pixels."""
    centres = np.arange(x.shape[-1]) + 0.5
    area = x.sum((1, 2))
    right, down = x.sum(1) @ centres / area, x.sum(2) @ centres / area
    a, b = centres - right[:, None], centres - down[:, None]
    second = [np.einsum("nij,ni,nj->n", x, *p) / area for p in ((b, b), (b, a))]
    across = np.einsum("nij,nj->n", x, a**2) / area
    down_down = np.einsum("nij,ni->n", x, b**2) / area
    return area, (right, down), (across, down_down, second[1])


def test_combinations_and_pictures_are_all_different(drawn):
    v, x = drawn
    assert len(np.unique(v, axis=0)) == len(v) == 30_000  # so splits share nothing
    assert len({i.tobytes() for i in x}) == 30_000
    stamps = sprites._stamps().reshape(3 * 6 * 21, -1)
    assert len(np.unique(stamps, axis=0)) == len(stamps)


def test_every_value_is_drawn_and_about_as_often(drawn):
    for column, values in zip(drawn[0].T, sprites.FACTORS.values(), strict=True):
        counts = np.bincount(column, minlength=values)
        assert len(counts) == values
        assert abs(counts / 30_000 * values - 1).max() < 0.08


def test_the_draw_is_the_same_for_ever():
    v = sprites.factors("sprites")
    assert [v[s].shape for s in SPLITS] == [(24_000, 5), (3_000, 5), (3_000, 5)]
    assert v["train"].dtype == np.int32
    assert v["train"][:2].tolist() == [[0, 1, 14, 15, 7], [1, 3, 3, 10, 3]]
    weights = np.arange(24_000 * 5).reshape(24_000, 5) % 1009
    assert int((v["train"].astype(np.int64) * weights).sum()) == 344_516_683


def test_no_sprite_leaves_the_frame(drawn):
    v, x = drawn
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert not x[:, border].any()
    stamps = sprites._stamps()[tuple(v[:, :3].T)] / 255
    np.testing.assert_allclose(x.sum((1, 2)), stamps.sum((1, 2)), rtol=1e-5)
    assert x[v[:, 3] == 0][:, :, :8].any() and x[v[:, 4] == 15][:, 24:].any()


def test_area_grows_with_scale_as_geometry_says(drawn):
    v, x = drawn
    area, radius = moments(x)[0], 7.5 * (0.5 + 0.1 * v[:, 1])
    unit = np.array([2, math.pi / 2, 3.66199 / 1.29061**2])[v[:, 0]]
    # An upright edge falls between samples, an eighth of a pixel apart.
    assert abs(area / (unit * radius**2) - 1).max() < 0.04


def test_the_centroid_is_the_place(drawn):
    v, x = drawn
    right, down = moments(x)[1]
    assert abs(right - v[:, 3] - 8.5).max() < 0.05
    assert abs(down - v[:, 4] - 8.5).max() < 0.05


def test_ellipses_are_two_to_one_and_turn_left(drawn):
    keep = drawn[0][:, 0] == 1
    v, x = drawn[0][keep], drawn[1][keep]
    xx, yy, xy = moments(x)[2]
    angle = np.arctan2(-2 * xy, xx - yy) / 2  # down is negative
    off = angle - v[:, 2] * 2 * math.pi / 21
    assert abs(np.angle(np.exp(2j * off)) / 2).max() < math.radians(2)
    root = np.hypot(xx - yy, 2 * xy)
    large = v[:, 1] == 5  # a pixel's own width counts less
    ratio = np.sqrt((xx + yy + root) / (xx + yy - root))
    assert abs(ratio[large] - 2).max() < 0.04


def test_squares_have_corners_and_hearts_a_tip():
    for shape in (0, 2):
        stamps = sprites._stamps()[shape, 5] / 255
        for turn in range(21):
            angle = 360 * turn / 21
            expected = ndimage.rotate(stamps[0], angle, reshape=False, order=1)
            errors = np.square(stamps - expected).sum((1, 2))
            assert errors.argmin() == turn or shape == 0
            assert errors[turn] < 0.02 * np.square(stamps[0]).sum()
    heart, square = sprites._stamps()[[2, 0], 5, 0] / 255
    np.testing.assert_array_equal(heart, heart[:, ::-1])
    rows = np.flatnonzero(heart.any(1))
    assert heart[rows[0]].sum() > 2 * heart[rows[-1]].sum()  # the tip points down
    np.testing.assert_array_equal(square, np.rot90(square))
    assert square[8 - 4 : 8 + 5, 8 - 4 : 8 + 5].min() == 1


def test_edges_are_smooth(drawn):
    shades = np.unique(np.rint(drawn[1] * 255))
    assert shades[0] == 0 and shades[-1] == 255 and len(shades) > 50


def test_sprites_prepare_themselves_quietly(places, capfd, imported):
    d, v = data.load(NAME), data.factors(NAME)
    assert capfd.readouterr() == ("", "")
    assert (places / f"tfds/{NAME}/1.0.0/features.json").is_file()
    assert [len(getattr(d, s).x) for s in SPLITS] == [4000, 500, 500]
    assert (d.scale, d.num_classes, d.likelihood) == (255, 3, "bernoulli")
    for s in SPLITS:
        split = getattr(d, s)
        assert split.x.dtype == np.uint8
        np.testing.assert_array_equal(split.x, sprites.render(v[s]))
        np.testing.assert_array_equal(split.y, v[s][:, 0])
    code = f"from aejax import data\ndata.factors('{NAME}')"
    heavy = ("jax", "sklearn", "PIL", "scipy", "tensorflow_datasets")
    assert imported(code, heavy) == "[]"


def test_beside_a_shared_directory_that_is_read_only(places):
    (places / "tfds").mkdir(mode=0o555)
    assert data.load(NAME).train.x.shape == (4000, 32, 32, 1)
    assert not list((places / "tfds").iterdir())


def test_tfds_readers_get_the_factors_too():
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepare.prepare(NAME))
    assert builder.info.features["label"].names == list(sprites.SHAPES)
    record = builder.as_data_source(split="valid")[7]
    assert record["factors"].tolist() == sprites.factors(NAME)["valid"][7].tolist()


def test_only_data_drawn_from_factors_have_them():
    names = ("shape", "scale", "rotation", "x", "y")
    assert data.factor_names(NAME) == data.load(NAME).factor_names == names
    for function in (data.factors, data.factor_names):
        with pytest.raises(config.InputError, match="'digits' were drawn; of sprites"):
            function("digits")
    assert data.load("digits").factors is None


def test_factors_stay_with_their_rows():
    """Each image is its factors drawn again, whatever was left out."""
    versions = (NAME, f"{NAME}:0,2", f"{NAME}:captions", f"{NAME}:1:captions")
    for name in versions:
        d = data.load(name)
        for split in SPLITS:
            v, part = d.factors[split], getattr(d, split)
            np.testing.assert_array_equal(part.x, sprites.render(v))
            if "captions" not in name:
                np.testing.assert_array_equal(part.y, v[:, 0])
    assert set(data.factors(versions[1])["train"][:, 0]) == {0, 2}
    assert len(data.factors(versions[1])["test"]) == 500


def test_the_catalogue_and_the_list_tell_the_truth(capsys):
    for name, n in sprites.EXAMPLES.items():
        splits = catalogue.ENTRIES[name].splits.replace(",", "").split(" / ")
        assert [int(s) for s in splits] == [
            len(v) for v in sprites.factors(name).values()
        ]
        assert sum(map(int, splits)) == n
    assert command.main(["list"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    ready = {row[0]: row[1] for row in rows}
    assert ready["sprites"] == ready["digits"] == "ready" and ready["mnist"] == "not"
