"""Images made anew, from nothing and from words: generate and caption."""

import functools

import numpy as np
import pytest
import scipy.linalg

from aejax import config, tasks
from aejax.tasks import judge

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Classifiers of fewer steps: tests compile without optimisation."""
    quick = functools.partial(judge.classifier, steps=200)
    monkeypatch.setattr(judge, "classifier", quick)


# ---- generate


@pytest.fixture(scope="module")
def zoo(small):
    axes = {"objective": ["ae", "vae"], "latent_dim": [8]}
    return small("ae", axes).models()


def by_system(result):
    return {row["system"]: row for row in result.metrics}


def test_generate_has_baselines_and_beats_the_gaussian(zoo, digits, drawn):
    result = tasks.TASKS["generate"].apply(zoo, digits, draws=1)
    got = by_system(result)
    assert list(got) == [
        "training images",
        "gaussian of pixels",
        "mixture of PCA k=8",
        "ae gaussian",
        "ae gmm",
        "vae prior",
        "vae gmm",
    ]
    assert {row["n"] for row in got.values()} == {250}
    best = got.pop("training images")
    assert best["copies"] == 1 and best["precision"] > 0.85 < best["recall"]
    assert got["ae gmm"]["frechet"] < 0.7 * got["gaussian of pixels"]["frechet"]
    assert max(row["copies"] for row in got.values()) < 0.3
    assert drawn(result)


def test_generate_measures_against_test_and_copies_against_train(zoo, digits):
    """A test split of zeros alone: what covers all classes is now imprecise."""
    apply = tasks.TASKS["generate"].apply
    nothing = digits.test._replace(x=0 * digits.test.x)
    black = digits._replace(test=nothing, valid=nothing)
    few, none = (
        by_system(apply(zoo[:1], d, draws=1, most=100, densities=("gmm",)))
        for d in (digits, black)
    )
    for name, row in none.items():
        assert row["precision"] == 0 < few[name]["precision"]
        assert row["frechet"] > 5 * few[name]["frechet"]
    assert none["training images"]["copies"] == 1


def test_generate_without_labels_says_what_its_features_are(zoo, digits):
    parts = {n: getattr(digits, n)._replace(y=None) for n in ("train", "valid", "test")}
    plain = digits._replace(**parts)
    result = tasks.TASKS["generate"].apply(zoo[:1], plain, draws=1, densities=("gmm",))
    assert "PCA (k=32" in result.text and "classifier" not in result.text
    got = {name: row["precision"] for name, row in by_system(result).items()}
    assert got["training images"] > got["gaussian of pixels"] + 0.2


def test_generate_refuses_images_of_another_shape(zoo, digits):
    wide = {
        n: part._replace(x=np.repeat(part.x, 2, 2))
        for n in ("train", "valid", "test")
        if (part := getattr(digits, n))
    }
    with pytest.raises(config.InputError, match=r"\(8, 8, 1\), those .* \(8, 16, 1\)"):
        tasks.TASKS["generate"].apply(zoo[:1], digits._replace(**wide), draws=1)


def test_frechet_is_the_distance_of_gaussians():
    a = RNG.normal(size=(400, 5)) @ RNG.normal(size=(5, 5))
    b = RNG.normal(size=(300, 5)) + 1.0
    s, t = np.cov(a.T), np.cov(b.T)
    cross = np.trace(scipy.linalg.sqrtm(s @ t)).real
    off = np.square(a.mean(0) - b.mean(0)).sum()
    want = off + np.trace(s) + np.trace(t) - 2 * cross
    np.testing.assert_allclose(judge.frechet(a, b), want, rtol=1e-6)
    np.testing.assert_allclose(judge.frechet(b, a), want, rtol=1e-6)
    np.testing.assert_allclose(judge.frechet(a, a + 2.0), 4 * 5, rtol=1e-6)
    degenerate = np.concatenate([a, a], 1)  # covariance of half the rank
    assert abs(judge.frechet(degenerate, degenerate)) < 1e-6 * np.trace(s)


def test_precision_and_recall_tell_quality_from_variety():
    real = RNG.normal(size=(300, 2)) + np.array([[8.0, 0.0]]) * RNG.integers(
        0, 2, (300, 1)
    )
    one_mode = RNG.normal(size=(300, 2))
    with_rubbish = np.concatenate([real[:150] + 0.01, RNG.normal(size=(150, 2)) + 50])
    precision, recall = judge.precision_recall(real, one_mode)
    assert precision > 0.9 and 0.35 < recall < 0.65
    precision, recall = judge.precision_recall(real, with_rubbish)
    assert precision == 0.5 and recall > 0.8
    assert judge.precision_recall(real, real) == (1, 1)


def test_nearest_is_exact():
    x, among = RNG.normal(size=(600, 3, 2)), RNG.normal(size=(70, 3, 2))
    among[5] = x[7]
    near, at = judge.nearest(x, among)
    every = np.linalg.norm((x[:, None] - among[None]).reshape(600, 70, -1), axis=2)
    np.testing.assert_array_equal(at, every.argmin(1))
    np.testing.assert_allclose(near, every.min(1))
    assert at[7] == 5 and near[7] == 0


def test_the_classifier_reads_several_factors_of_odd_images():
    """Which half is lit, and whether the other half is grey."""
    y = RNG.integers(0, 2, (400, 2))
    x = RNG.uniform(0, 0.2, (400, 7, 5, 1)).astype(np.float32)
    x[y[:, 0] == 0, :3] += 0.8
    x[y[:, 0] == 1, 4:] += 0.8
    x[y[:, 1] == 1, 3] += 0.4
    features, read = judge.classifier(x[:300], y[:300])(x[300:])
    assert features.shape == (100, judge.WIDTH) and read.shape == (100, 2)
    assert (read == y[300:]).mean(0).min() > 0.95
