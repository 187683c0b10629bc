"""Distances of samples: closed forms, exact neighbours, a classifier that learns."""

import numpy as np
import pytest
import scipy.linalg

from aejax.tasks import classifier, sample_quality

RNG = np.random.default_rng(0)


def test_frechet_is_the_distance_of_gaussians():
    a = RNG.normal(size=(400, 5)) @ RNG.normal(size=(5, 5))
    b = RNG.normal(size=(300, 5)) + 1.0
    s, t = np.cov(a.T), np.cov(b.T)
    cross = np.trace(scipy.linalg.sqrtm(s @ t)).real
    off = np.square(a.mean(0) - b.mean(0)).sum()
    want = off + np.trace(s) + np.trace(t) - 2 * cross
    np.testing.assert_allclose(sample_quality.frechet(a, b), want, rtol=1e-6)
    np.testing.assert_allclose(sample_quality.frechet(b, a), want, rtol=1e-6)
    np.testing.assert_allclose(sample_quality.frechet(a, a + 2.0), 4 * 5, rtol=1e-6)
    degenerate = np.concatenate([a, a], 1)  # covariance of half the rank
    assert abs(sample_quality.frechet(degenerate, degenerate)) < 1e-6 * np.trace(s)


def test_precision_is_quality_recall_variety():
    real = RNG.normal(size=(300, 2)) + np.array([[8.0, 0.0]]) * RNG.integers(
        0, 2, (300, 1)
    )
    one_mode = RNG.normal(size=(300, 2))
    with_rubbish = np.concatenate([real[:150] + 0.01, RNG.normal(size=(150, 2)) + 50])
    precision, recall = sample_quality.precision_recall(real, one_mode)
    assert precision > 0.9 and 0.35 < recall < 0.65
    precision, recall = sample_quality.precision_recall(real, with_rubbish)
    assert precision == 0.5 and recall > 0.8
    assert sample_quality.precision_recall(real, real) == (1, 1)


def test_nearest_is_exact():
    x, among = RNG.normal(size=(600, 3, 2)), RNG.normal(size=(70, 3, 2))
    among[5] = x[7]
    near, places = sample_quality.nearest(x, among)
    distances = np.linalg.norm((x[:, None] - among[None]).reshape(600, 70, -1), axis=2)
    np.testing.assert_array_equal(places, distances.argmin(1))
    np.testing.assert_allclose(near, distances.min(1))
    assert places[7] == 5 and near[7] == 0


def test_the_classifier_reads_several_factors():
    """Which half is lit, and whether the other half is grey."""
    y = RNG.integers(0, 2, (400, 2))
    x = RNG.uniform(0, 0.2, (400, 7, 5, 1)).astype(np.float32)
    x[y[:, 0] == 0, :3] += 0.8
    x[y[:, 0] == 1, 4:] += 0.8
    x[y[:, 1] == 1, 3] += 0.4
    features, read = classifier.classifier(x[:300], y[:300])(x[300:])
    assert features.shape == (100, classifier.WIDTH) and read.shape == (100, 2)
    assert (read == y[300:]).mean(0).min() > 0.95


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Classifiers of fewer steps: tests compile without optimisation."""
    whole = classifier.classifier
    monkeypatch.setattr(
        classifier, "classifier", lambda x, y, steps=0: whole(x, y, 200)
    )


def test_the_nearest_is_the_nearest_far_from_zero():
    rng = np.random.default_rng(0)
    reference = (10_000 + rng.normal(size=(300, 4, 4, 1))).astype(np.float32)
    x = reference[:7] + 0.01
    distance, places = sample_quality.nearest(x, reference)
    assert places.tolist() == list(range(7))
    np.testing.assert_allclose(distance, 0.04, rtol=0.1)
