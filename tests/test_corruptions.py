"""aejax.corruptions: statistics, the identity at level 0, one program per noise."""

import functools

import jax
import numpy as np
import pytest

from aejax import corruptions

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(0.1, 0.9, (400, 10, 8, 2)).astype(np.float32)
NOISES = ("gaussian", "masking", "salt_and_pepper", "occlusion")
TRACES = []


@functools.cache
def compiled(name, **options):
    def corrupt(key, x, level):
        TRACES.append(name if not options else None)
        return corruptions.CORRUPTIONS[name](key, x, level, **options)

    return jax.jit(corrupt)


def corrupt(name, level, x=X, key=KEY):
    return np.asarray(compiled(name)(key, x, level))


def test_the_table_lists_every_corruption():
    assert set(corruptions.CORRUPTIONS) == {*NOISES, "downsample", "hide"}


@pytest.mark.parametrize("name", NOISES)
def test_level_zero_is_the_identity(name):
    np.testing.assert_array_equal(corrupt(name, 0.0), X)


@pytest.mark.parametrize("name", NOISES)
def test_equal_keys_give_equal_noise(name):
    first = corrupt(name, 0.5)
    assert first.shape == X.shape and first.dtype == np.float32
    np.testing.assert_array_equal(corrupt(name, 0.5), first)
    assert (corrupt(name, 0.5, key=jax.random.key(1)) != first).mean() > 0.2
    # Examples are corrupted differently from one another.
    same = np.tile(X[:1], (400, 1, 1, 1))
    assert len(np.unique(corrupt(name, 0.5, same), axis=0)) > 10


@pytest.mark.parametrize("name", NOISES)
def test_the_level_is_traced(name):
    changed = [(corrupt(name, level) != X).mean() for level in (0.2, 0.6)]
    assert name == "gaussian" or changed[0] < 0.5 * changed[1]
    assert TRACES.count(name) == 1


def test_gaussian_noise_has_the_level_as_its_deviation():
    noise = (corrupt("gaussian", 0.5) - X).astype(np.float64)
    n = noise.size
    assert abs(noise.mean()) < 5 * 0.5 / np.sqrt(n)
    np.testing.assert_allclose(noise.std(), 0.5, rtol=5 / np.sqrt(2 * n))
    assert abs((noise > 0.5).mean() - 0.1587) < 5 * 0.37 / np.sqrt(n)


def test_masking_sets_a_share_to_zero():
    out = corrupt("masking", 0.3)
    hit = out == 0
    assert abs(hit.mean() - 0.3) < 5 * np.sqrt(0.21 / X.size)
    np.testing.assert_array_equal(out[~hit], X[~hit])
    # Elements are hit on their own: two neighbours together at 0.3².
    both = (hit[:, :-1] & hit[:, 1:]).mean()
    assert abs(both - 0.09) < 5 * np.sqrt(0.09 / X.size)
    assert (corrupt("masking", 1.0) == 0).all()


def test_masking_that_rescales_keeps_the_mean():
    run = compiled("masking", rescale=True)
    out = np.asarray(run(KEY, X, 0.3))
    spread = X.std() + X.mean() * np.sqrt(0.3 / 0.7)
    assert abs(out.mean() - X.mean()) < 5 * spread / np.sqrt(X.size)
    hit = out == 0
    np.testing.assert_allclose(out[~hit], X[~hit] / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(hit, corrupt("masking", 0.3) == 0)
    np.testing.assert_array_equal(run(KEY, X, 0.0), X)
    assert (np.asarray(run(KEY, X, 1.0)) == 0).all()


def test_salt_and_pepper_is_a_fair_coin():
    out = corrupt("salt_and_pepper", 0.4)
    hit = (out == 0) | (out == 1)
    assert abs(hit.mean() - 0.4) < 5 * np.sqrt(0.24 / X.size)
    assert abs(out[hit].mean() - 0.5) < 5 * 0.5 / np.sqrt(hit.sum())
    np.testing.assert_array_equal(out[~hit], X[~hit])
    everywhere = corrupt("salt_and_pepper", 1.0)
    assert np.isin(everywhere, (0, 1)).all()


@pytest.mark.parametrize("level", [0.25, 0.5, 0.77, 1.0])
def test_occlusion_is_one_box_inside_every_image(level):
    out = corrupt("occlusion", level)
    box = (round(level * 10), round(level * 8))
    starts = []
    for hit in out == 0:
        rows, columns = np.nonzero(hit.any((1, 2)))[0], np.nonzero(hit.any((0, 2)))[0]
        assert (len(rows), len(columns)) == box
        assert np.ptp(rows) == box[0] - 1 and np.ptp(columns) == box[1] - 1
        assert hit.sum() == 2 * box[0] * box[1], "the box is whole, in every colour"
        starts.append((rows[0], columns[0]))
    np.testing.assert_array_equal(out[out != 0], X[out != 0])
    # Every place occurs, about equally often, in both directions on their own.
    counts = np.zeros((11 - box[0], 9 - box[1]))
    np.add.at(counts, tuple(np.transpose(starts)), 1)
    for side in (counts.sum(1), counts.sum(0)):
        share = 1 / len(side)
        assert np.abs(side / 400 - share).max() <= 5 * np.sqrt(share / 400)


def test_occlusion_is_a_stretch_of_a_sequence():
    for x in (X[:, :, :, 0], X[:, :, 0, 0]):
        out = np.asarray(jax.jit(corruptions.occlusion)(KEY, x, 0.4))
        hit = (out == 0).reshape(400, 10, -1)
        assert (hit.all(-1) == hit.any(-1)).all(), "whole steps"
        steps = hit.any(-1)
        assert (steps.sum(1) == 4).all()
        assert (np.abs(np.diff(np.pad(steps, ((0, 0), (1, 1))) * 1)).sum(1) == 2).all()


@pytest.mark.parametrize("level", [1, 2])
def test_downsample_is_the_mean_of_blocks_at_full_size(level):
    out = np.asarray(corruptions.downsample(KEY, X, level))
    want = np.stack(
        [
            np.kron(
                image.reshape(10 // level, level, 8 // level, level).mean((1, 3)),
                np.ones((level, level)),
            )
            for image in X[:5, ..., 1].astype(np.float64)
        ]
    )
    np.testing.assert_allclose(out[:5, ..., 1], want, rtol=1e-6)
    again = corruptions.downsample(KEY, out, level)
    np.testing.assert_allclose(again, out, rtol=1e-6)
    flat = np.full((1, 10, 8, 1), 0.3, np.float32)
    same = corruptions.downsample(KEY, flat, level)
    np.testing.assert_allclose(same, flat, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 7, 5, 1), (2, 7, 3), (2, 7)])
def test_downsample_takes_any_sides_and_a_traced_level(shape):
    """Ragged last blocks are averaged alone; sequences and vectors along one axis."""
    x = np.random.default_rng(0).random(shape, np.float32)
    out = jax.jit(corruptions.downsample)(KEY, x, 3)
    expected = x.copy()
    for axis in (1, 2) if x.ndim == 4 else (1,):
        for start in range(0, shape[axis], 3):
            part = (slice(None),) * axis + (slice(start, start + 3),)
            expected[part] = expected[part].mean(axis, keepdims=True)
    np.testing.assert_allclose(out, expected, rtol=1e-5)
