"""Estimators beside what they are made of: units, scores, folds, pickles."""

import functools
import io
import pathlib
import pickle
import pickletools
import re

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import (
    base,
    datasets,
    decomposition,
    exceptions,
    model_selection,
    neighbors,
    pipeline,
    preprocessing,
)

import aejax
from aejax import estimators
from aejax.estimators import Autoencoder

RNG = np.random.default_rng(0)
WINE = datasets.load_wine().data
LINEAR = dict(network="linear", random_state=0)
QUICK = LINEAR | dict(epochs=4)


@pytest.fixture(scope="module")
def vae():
    values = LINEAR | dict(early_stopping=False, epochs=150)
    return Autoencoder("vae", 3, **values).fit(WINE)


def test_a_linear_one_finds_what_pca_finds():
    """Baldi & Hornik, Neural Networks 1989: the optimum spans PCA's subspace."""
    rng = np.random.default_rng(7)
    basis = rng.normal(size=(3, 6))
    X = rng.normal(size=(400, 3)) @ basis + 0.1 * rng.normal(size=(400, 6))
    X = X * np.array([1.0, 10.0, 100.0, 1.0, 1.0, 0.01]) + 7.0
    values = LINEAR | {"learning_rate": 1e-2, "early_stopping": False}
    model = Autoencoder("ae", 3, epochs=300, **values).fit(X)
    unit = preprocessing.StandardScaler().fit(X)
    pca = decomposition.PCA(3).fit(unit.transform(X))
    best = unit.inverse_transform(
        pca.inverse_transform(pca.transform(unit.transform(X)))
    )
    error, least = (
        np.mean(((x - X) / unit.scale_) ** 2) for x in (model.reconstruct(X), best)
    )
    assert least <= error < 1.1 * least
    np.testing.assert_allclose(model.score(X), -error, rtol=0.02)


def test_scores_are_in_the_units_of_x(vae):
    """log p(X) = log p(x) - Σ log σ, by the density of a linear map."""
    z = (WINE - vae.mean_) / vae.scale_
    same = base.clone(vae).set_params(standardize=False).fit(z)
    np.testing.assert_allclose(
        vae.score_samples(WINE),
        same.score_samples(z) - np.log(vae.scale_).sum(),
        rtol=1e-3,
        atol=0.05,
    )
    np.testing.assert_allclose(
        vae.reconstruct(WINE), same.reconstruct(z) * vae.scale_ + vae.mean_, rtol=1e-2
    )


def test_scores_are_log_likelihoods(vae):
    """A linear VAE is probabilistic PCA (Tipping & Bishop 1999), of a known p(X)."""
    decode, params = vae.model_.decode, vae.model_.params
    (mean,) = decode(np.zeros((1, 3)))
    W = (decode(np.eye(3)) - mean) * vae.scale_
    noise = np.exp(params["net"]["shared"][0]) * np.diag(vae.scale_**2)
    mean = mean * vae.scale_ + vae.mean_
    exact = stats.multivariate_normal(mean, W.T @ W + noise).logpdf(WINE)
    error = vae.score_samples(WINE) - exact
    assert np.abs(error).mean() < 0.1 and np.abs(error.mean()) < 0.05
    np.testing.assert_allclose(vae.score(WINE), exact.mean(), atol=0.05)


def test_a_row_does_not_depend_on_others(vae):
    for method in (vae.transform, vae.score_samples, vae.reconstruct):
        whole, some = method(WINE), method(WINE[[70, 3]])
        np.testing.assert_allclose(some, whole[[70, 3]], rtol=1e-6)


def test_a_pickle_holds_arrays_and_names_of_classes(vae):
    text = pickle.dumps(vae)
    words = [a for op, a, _ in pickletools.genops(text) if "UNICODE" in op.name]
    modules = {w for w in words if w.partition(".")[0] in ("jax", "jaxlib", "flax")}
    assert not modules and "optax" not in str(words)
    ours = {w for w in words if w.startswith("aejax") and len(w) < 60}
    assert ours == {"aejax.estimators.transformer"}
    after = pickle.loads(text)
    joblib.dump(vae, file := io.BytesIO())
    file.seek(0)
    for again in (after, joblib.load(file)):
        np.testing.assert_array_equal(again.transform(WINE), vae.transform(WINE))
        np.testing.assert_array_equal(again.sample(3, 0), vae.sample(3, 0))
        np.testing.assert_array_equal(
            again.score_samples(WINE[:9]), vae.score_samples(WINE[:9])
        )


def test_frames_and_names():
    frame = datasets.load_wine(as_frame=True).data
    model = Autoencoder("ae", 2, **QUICK).set_output(transform="pandas").fit(frame)
    z = model.transform(frame)
    assert list(z.columns) == ["autoencoder0", "autoencoder1"]
    assert list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"alcohol": "spirit"}))
    assert isinstance(z, pd.DataFrame) and model.inverse_transform(z).shape == (178, 13)


def test_in_a_pipeline():
    X, y = datasets.load_iris(return_X_y=True)
    steps = pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        Autoencoder("ae", 3, **QUICK | {"epochs": 100}),
        neighbors.KNeighborsClassifier(),
    )
    cv = model_selection.StratifiedKFold(2, shuffle=True, random_state=0)
    assert model_selection.cross_val_score(steps, X, y, cv=cv).mean() > 0.85


def test_values_that_are_missing_come_back():
    X = RNG.normal(size=(300, 1)) @ np.ones((1, 5)) + 0.1 * RNG.normal(size=(300, 5))
    hidden = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    model = Autoencoder("ae", 1, random_state=0, hidden=(16,), epochs=60).fit(hidden)
    error = (model.reconstruct(hidden) - X)[np.isnan(hidden)]
    assert np.square(error).mean() < 0.2 * X.var()
    assert np.isfinite(model.score(hidden)) and np.isfinite(model.transform(X)).all()
    with pytest.raises(ValueError, match="not finite"):
        Autoencoder("ae", 1, **QUICK).fit(X).transform(hidden)
    with pytest.raises(ValueError, match="feature 2 of X has no value"):
        Autoencoder("ae", 1, **QUICK).fit(np.where(np.arange(5) == 2, np.nan, X))


@pytest.mark.parametrize(
    ("values", "shape", "X"),
    [
        ({"network": "conv", "hidden": (4, 8)}, (8, 8), datasets.load_digits().data),
        ({"network": "recurrent", "hidden": (4,)}, (6, 2), RNG.normal(size=(40, 12))),
        ({"network": "linear"}, (4, 3), RNG.normal(size=(40, 12))),
    ],
    ids=["images", "series", "images of a dense network"],
)
def test_rows_that_are_images_or_series(values, shape, X):
    model = Autoencoder("ae", 2, shape=shape, epochs=1, random_state=0, **values)
    model.fit(X[:40].reshape(-1, *shape))
    assert len(model.mean_) == (2 if values["network"] == "recurrent" else 1)
    with pytest.raises(ValueError, match=r"X has shape \(3, .*; shape=.* takes"):
        model.transform(X[:3].reshape(-1, *shape[::-1], 1))
    x_hat = model.reconstruct(X[:3])
    assert x_hat.shape == (3, X.shape[1])
    np.testing.assert_allclose(
        model.inverse_transform(model.transform(X[:3])), x_hat, rtol=1e-5
    )


@pytest.mark.parametrize(
    "X",
    [
        np.arange(20)[:, None],
        [[0, 1.5], [2, 1.5], [1, 1.5], [4, 1.5]],
        RNG.normal(size=(20, 3)) * 1e8 + 1e9,
    ],
    ids=["one feature", "a constant in a list", "large float64"],
)
def test_small_and_strange_data(X):
    model = Autoencoder(latent_dim=2, **QUICK).fit(X)
    assert np.isfinite(model.score(X)) and np.isfinite(model.reconstruct(X)).all()
    if np.shape(X)[1] == 2:
        assert model.scale_[1] == 1.0 and model.mean_[1] == 1.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "betavae"}, "did you mean 'beta_vae'"),
        ({"hparams": {"beta": 1.0}}, "hyperparameter of vae.*'beta' is unknown"),
        ({"config": {"optimiser": "sgd"}}, "did you mean 'optimizer'"),
        ({"config": {"seed": 3}}, "seed of config is a parameter of Autoencoder"),
        ({"n_importance_samples": 0}, "n_importance_samples is 0; it must be a whole"),
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number"),
        ({"network": "recurrent", "hidden": (4,)}, r"give shape=\(T, F\)"),
        ({"shape": 13}, "shape is 13; give that of an example"),
        ({"hparams": [1]}, "hparams is .*; it must be"),
        ({"shape": (3, 4)}, r"shape is \(3, 4\), which are 12 numbers a row, .* 13"),
        ({"objective": "conditional_vae"}, "needs labels.*use another objective$"),
        ({"validation_fraction": 1.0}, "must lie in"),
        ({"config": {"optimizer": "sgd"}, "learning_rate": 1e9}, "training diverged"),
    ],
)
def test_bad_settings_say_what_is_allowed(values, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(**QUICK).set_params(**values).fit(WINE)


def test_bernoulli_of_values_in_the_unit_interval():
    X = RNG.random((50, 4))
    values = QUICK | {"likelihood": "bernoulli", "standardize": False}
    model = Autoencoder("vae", 2, **values).fit(X)
    assert np.isfinite(model.score(X)) and model.score(X) < 0
    for method in (model.score, model.transform):
        with pytest.raises(ValueError, match="of values in .0, 1."):
            method(16 * X)


def test_a_fit_that_fails_leaves_nothing_fitted(vae):
    model = Autoencoder("ae", 2, **QUICK).fit(WINE)
    with pytest.raises(ValueError, match="latent_dim is 0"):
        model.set_params(latent_dim=0).fit(WINE[:, :5])
    with pytest.raises(exceptions.NotFittedError):
        model.transform(WINE[:, :5])
    for scale in (1e200, 1e-200):
        with pytest.raises(ValueError, match="deviation float64 does not have|float32"):
            model.set_params(latent_dim=2).fit(WINE * scale)
    with pytest.raises(ValueError, match="n_samples is 0"):
        vae.sample(0)


def test_a_fitted_one_keeps_no_rows(vae):
    with pytest.raises(aejax.InputError, match="exported without its data"):
        vae.model_.training_codes()


def test_there_is_no_partial_fit():
    assert not hasattr(Autoencoder(), "partial_fit")
    with pytest.raises(AttributeError, match="has no partial_fit: a program is comp"):
        Autoencoder().partial_fit(WINE)


def test_the_readme_s_example_runs(monkeypatch):
    text = pathlib.Path(estimators.__file__).with_name("README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for name in ("Autoencoder", "AutoencoderCV", "AutoencoderDetector"):
        quick = functools.partial(getattr(estimators, name), network="linear", epochs=2)
        monkeypatch.setattr(estimators, name, quick)
    exec(compile(example, "README.md", "exec"), names := {})
    shapes = [names[n].shape for n in ("z", "X_hat", "new", "nats")]
    assert shapes == [(178, 3), (178, 13), (5, 13), (178,)]
