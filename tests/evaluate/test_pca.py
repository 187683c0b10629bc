"""The PCA baseline against scikit-learn's and NumPy's SVD, on what is hard for it."""

import itertools

import numpy as np
import pytest
import threadpoolctl
from sklearn import datasets, decomposition

from aejax import data, model
from aejax.evaluate import pca
from aejax.training import source as sources

RNG = np.random.default_rng(0)
DIGITS = datasets.load_digits().images.astype(np.uint8)[..., None]
TRAIN, TEST = DIGITS[:1200], DIGITS[1200:]


def make_source(train, test, *, scale=1.0):
    """A Source of (N, *S) arrays whose evaluated train and valid rows are 0."""
    valid = 0 * test[:3]
    parts = (data.Split(a) for a in (train, valid, test))
    dataset = data.Dataset("x", *parts, "gaussian", scale)
    spec = sources.describe(dataset)
    zeros = np.zeros((spec.lengths[0], *test.shape[1:]), test.dtype)
    evaluated = model.Batch(np.concatenate([zeros, valid, test]))
    return sources.Source(spec, "none", dataset, evaluated)


def by_sklearn(train, test, k):
    train, test = (a.reshape(len(a), -1).astype(np.float64) for a in (train, test))
    fit = decomposition.PCA(k, svd_solver="full").fit(train)
    return np.square(test - fit.inverse_transform(fit.transform(test))).mean()


def signs(spreads):
    """Every row of signs, times these spreads: PCA at k leaves the smaller ones."""
    rows = itertools.product((-1, 1), repeat=len(spreads))
    return np.float32(list(rows)) * np.float32(spreads)


def test_pca_equals_sklearn_on_digits():
    errors = pca.pca_mse(make_source(TRAIN, TEST, scale=16.0), [1, 2, 5, 64, 100])
    assert list(errors) == [1, 2, 5, 64, 100]
    for k in (1, 2, 5):
        want = by_sklearn(TRAIN / 16, TEST / 16, k)
        np.testing.assert_allclose(errors[k], want, rtol=1e-8)
    assert errors[64] == 0 and errors[100] == errors[64]


def test_pca_equals_svd_over_several_blocks():
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(80_000, 30)) @ rng.normal(size=(30, 30))).astype(np.float32)
    train, test = x[:40_000], x[40_000:].astype(np.float64)
    errors = pca.pca_mse(make_source(train, x[40_000:]), [1, 7, 29, 30])
    mean = train.mean(0, dtype=np.float64)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2]
    for k in (1, 7, 29):
        d = test - mean
        want = np.square(d - d @ axes[:k].T @ axes[:k]).mean()
        np.testing.assert_allclose(errors[k], want, rtol=1e-8)
    assert errors[30] == 0


@pytest.mark.parametrize("binarized", [False, True])
def test_pca_is_the_same_in_one_block_and_in_many(monkeypatch, binarized):
    """Draws of binarised training data are the same however they are cut."""
    binarize = "dynamic" if binarized else "none"
    source = make_source(TRAIN, TEST, scale=16.0)._replace(binarize=binarize)
    whole = pca.pca_mse(source, [1, 5])
    cut = lambda x: (b.reshape(len(b), -1) for b in np.split(x * 1.0, 24))  # noqa: E731
    monkeypatch.setattr(pca, "_blocks", lambda x: cut(x[: len(x) // 24 * 24]))
    x = source.evaluated.x[: sum(source.spec.lengths[:2]) + 576]
    short = source._replace(evaluated=model.Batch(x))
    again = pca.pca_mse(short, [1, 5])
    monkeypatch.undo()
    assert again == pca.pca_mse(short, [1, 5]) != whole


def test_a_large_column_keeps_the_small_ones():
    """Column 1 spreads 1e8, 5 others 1: the mean of what is left is (6 - k) / 6."""
    x = signs([1e8, 1, 1, 1, 1, 1])
    errors = pca.pca_mse(make_source(x, x), [1, 2, 5, 6])
    for k in (1, 2, 5):
        np.testing.assert_allclose(errors[k], (6 - k) / 6, rtol=1e-6)
    assert errors[6] == 0


def test_a_huge_value_leaves_the_other_columns():
    """It takes the one component; of the others, far smaller, all is left."""
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(2, 300, 6)).astype(np.float32)
    train[5, 2] = 1e15
    centred = train - train.mean(0, dtype=np.float64, keepdims=True)
    axis = np.linalg.svd(centred, full_matrices=False)[2][:1]
    rest = test - train.mean(0, dtype=np.float64, keepdims=True)
    left = np.square(rest - rest @ axis.T @ axis).mean()
    assert left == pytest.approx(5 / 6, 0.1)
    errors = pca.pca_mse(make_source(train, test), [1, 6])
    assert errors[1] == pytest.approx(left, 1e-6) and errors[6] == 0
    train[5, 2] = 1e30  # what is left of the others is no number of float64
    assert pca.pca_mse(make_source(train, test), [1, 6]) == {1: None, 6: 0}


@pytest.mark.parametrize("exact", [4096, 1])
def test_data_whose_squares_are_no_float32(monkeypatch, exact):
    monkeypatch.setattr(pca, "_EXACT", exact)
    x = signs([4e30, 3e30, 2e30, 1e30])
    errors = pca.pca_mse(make_source(x, x), [1, 2, 3])
    np.testing.assert_allclose(errors[1], 14e60 / 4, rtol=1e-6)
    np.testing.assert_allclose(errors[2], 5e60 / 4, rtol=1e-6)
    np.testing.assert_allclose(errors[3], 1e60 / 4, rtol=1e-6)


def test_any_number_of_threads_gives_the_same_digits():
    source, errors = make_source(TRAIN, TEST, scale=16.0), []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            errors.append(pca.pca_mse(source, [1, 8, 32, 63, 64]))
    assert errors[0] == errors[1]


def test_a_large_split_is_sampled_all_over(monkeypatch):
    source = make_source(TRAIN, TEST, scale=16.0)
    monkeypatch.setattr(pca, "_MOST", TRAIN.size // 3)
    (errors,) = pca.pca_mse(source, [5]).values()
    np.testing.assert_allclose(errors, by_sklearn(TRAIN[::3] / 16, TEST / 16, 5), 1e-8)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_offset_of_float_data_is_of_no_account(offset):
    """The covariance is the small difference of two large moments."""
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(12, 12)) * np.logspace(0, -2, 12)[:, None]
    x = rng.normal(size=(3000, 12)) @ mixing
    train, test = (x + offset).astype(np.float32)[:2500], (x + offset)[2500:]
    test = test.astype(np.float32)
    errors = pca.pca_mse(make_source(train, test), [1, 4, 8])
    for k, got in errors.items():
        np.testing.assert_allclose(got, by_sklearn(train, test, k), rtol=1e-6)


def test_large_data_have_the_randomised_pca(monkeypatch):
    monkeypatch.setattr(pca, "_EXACT", 10)
    errors = pca.pca_mse(make_source(TRAIN, TEST, scale=16.0), [1, 5, 300])
    for k in (1, 5):
        want = by_sklearn(TRAIN / 16, TEST / 16, k)
        np.testing.assert_allclose(errors[k], want, rtol=1e-2)
    assert 0 <= errors[300] < 1e-5


@pytest.mark.parametrize("scale", [10.0, 1.0])
def test_binarised_data_are_fitted_on_draws(scale):
    """Of x the second element varies more; of draws from it the first does."""
    x = np.tile(np.array([[5, 0], [5, 2]]), (1000, 1))
    train = x.astype(np.uint8) if scale == 10 else (x / 10).astype(np.float32)
    test = (np.random.default_rng(5).random(x.shape) < x / 10).astype(np.uint8)
    source = make_source(train, test, scale=scale)
    drawn = pca.pca_mse(source._replace(binarize="dynamic"), [1])[1]
    plain = pca.pca_mse(make_source(train, test * int(scale), scale=scale), [1])[1]
    np.testing.assert_allclose(plain, 0.25 / 2, rtol=0.05)
    np.testing.assert_allclose(drawn, 0.09 / 2, rtol=0.2)


def test_few_examples_have_few_components():
    train, test = np.split(RNG.normal(size=(46, 30)).astype(np.float32), [6])
    errors = pca.pca_mse(make_source(train, test), [4, 5, 6, 30])
    centred = train.astype(np.float64) - train.mean(0, dtype=np.float64)
    axes = np.linalg.svd(centred)[2][:5]  # six examples less their mean
    rest = test - train.mean(0, dtype=np.float64)
    want = np.square(rest - rest @ axes.T @ axes).mean()
    for k in (5, 6, 30):
        np.testing.assert_allclose(errors[k], want, rtol=1e-8)
    assert errors[4] > errors[5]
