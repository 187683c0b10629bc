"""Folds, sizes and seeds as one program: the numbers of one fit after the other."""

import warnings

import numpy as np
import pytest
from sklearn import datasets, model_selection

import aejax
from aejax.estimators import Autoencoder, AutoencoderCV, search

X = datasets.load_wine().data[::2][:80]
FOLDS = model_selection.KFold(4, shuffle=True, random_state=1)
SAME = dict(network="linear", epochs=20, early_stopping=False, random_state=3)


@pytest.fixture(scope="module")
def fitted():
    grid = {"learning_rate": [1e-3, 1e-2]}
    values = dict(param_grid=grid, n_seeds=2, cv=FOLDS)
    return AutoencoderCV("vae", [1, 3], **values, **SAME).fit(X)


def test_a_split_s_score_is_that_of_a_fit_of_its_own(fitted):
    """Promise P2: a member equals its standalone run; its seed is the first of two."""
    alone = AutoencoderCV(
        "vae", [1, 3], param_grid={"learning_rate": [1e-2]}, n_seeds=1, cv=FOLDS, **SAME
    ).fit(X)
    for k in (1, 3):
        one = Autoencoder("vae", k, learning_rate=1e-2, **SAME)
        scores = model_selection.cross_val_score(one, X, cv=FOLDS)
        place = alone.cv_results_["params"].index(
            {"latent_dim": k, "learning_rate": 1e-2}
        )
        ours = [alone.cv_results_[f"split{i}_test_score"][place] for i in range(4)]
        np.testing.assert_allclose(ours, scores, rtol=1e-3)
    # And in a larger population, as the mean of two seeds.
    assert len(fitted.cv_results_["params"]) == 4


def test_results_are_laid_out_as_of_grid_search(fitted):
    results = fitted.cv_results_
    known = {"latent_dim": 3, "learning_rate": 0.01}
    assert known in results["params"] and fitted.n_splits_ == 4
    by_fold = np.array([results[f"split{i}_test_score"] for i in range(4)])
    np.testing.assert_allclose(results["mean_test_score"], by_fold.mean(0))
    np.testing.assert_allclose(results["std_test_score"], by_fold.std(0))
    best = results["mean_test_score"].argmax()
    assert results["rank_test_score"][best] == 1
    assert list(results["param_latent_dim"]) == [
        p["latent_dim"] for p in results["params"]
    ]
    assert results["params"][fitted.best_index_] == fitted.best_params_
    assert fitted.best_score_ == results["mean_test_score"][fitted.best_index_]
    assert fitted.latent_dim_ == fitted.best_params_["latent_dim"]
    assert fitted.model_.config.learning_rate == fitted.best_params_["learning_rate"]
    assert fitted.transform(X).shape == (80, fitted.latent_dim_)


def test_the_curve_has_intervals_and_pca(fitted):
    from sklearn import decomposition, preprocessing

    curve = fitted.curve_.set_index("latent_dim")
    assert list(curve.index) == [1, 3]
    assert (curve.score_low < curve.score).all() and (curve.mse < curve.mse_high).all()
    errors = []
    for train, test in FOLDS.split(X):
        unit = preprocessing.StandardScaler().fit(X[train])
        a, b = unit.transform(X[train]), unit.transform(X[test])
        pca = decomposition.PCA(3).fit(a)
        errors.append(np.square(b - pca.inverse_transform(pca.transform(b))).mean())
    np.testing.assert_allclose(curve.pca_mse[3], np.mean(errors), rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"param_grid": {"objective": ["vae", "ae"]}}, "do not compare"),
        ({"param_grid": [{"beta": [1.0]}]}, "param_grid is .*; it must be"),
        ({"param_grid": {"seed": [0, 1]}}, "n_seeds how many seeds"),
        ({"param_grid": {"latent_dim": [2]}}, "latent_dims says which sizes"),
        ({"param_grid": {"learning_rate": 1e-2}}, "learning_rate of param_grid is"),
        ({"param_grid": {"epochs": [1, 2]}}, "'epochs' cannot be swept"),
        ({"latent_dims": 3}, "latent_dims .*give a list of values"),
        ({"latent_dims": []}, "latent_dims .*give a list of values"),
        ({"n_seeds": 0}, "n_seeds is 0; it must be a whole number"),
        ({"cv": iter(())}, "gives no split|empty"),
    ],
)
def test_bad_grids_say_what_is_allowed(values, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderCV("vae", [1], **SAME).set_params(**values).fit(X)


def test_names_and_widths_are_tried_too():
    grid = {"objective": ["vae", "beta_vae"], "beta": [0.5], "hidden": [[4], [8]]}
    grid["likelihood"] = ["auto", "gaussian"]
    values = dict(param_grid=grid, n_seeds=1, cv=model_selection.ShuffleSplit(1))
    quick = SAME | {"network": "mlp", "epochs": 1}
    fitted = AutoencoderCV("ae", [2], **values, **quick).fit(X)
    params = fitted.cv_results_["params"]
    assert len(params) == 8 and {p["hidden"] for p in params} == {(4,), (8,)}
    assert {p["likelihood"] for p in params} == {"gaussian_learned", "gaussian"}
    assert {p["beta"] for p in params if p["objective"] == "vae"} == {None}
    assert fitted.model_.config.likelihood == fitted.best_params_["likelihood"]


def test_one_standard_error_by_hand():
    params = [{"latent_dim": k} for k in (1, 2, 4, 8)]
    # Means -5, -1.2, -1, -2; the best has folds -1 ± 0.5, of standard error 0.25.
    by_fold = np.array([[-5] * 4, [-1.2] * 4, [-1.5, -0.5, -1.5, -0.5], [-2] * 4])
    error = by_fold[2].std(ddof=1) / 2
    assert 0.2 < error < 0.3
    assert search.chosen(params, by_fold[:, None]) == 1
    by_fold[1] -= 0.15  # further than an error from the best
    assert search.chosen(params, by_fold[:, None]) == 2
    by_fold[2, 0] = np.nan  # a model of it has diverged: no candidate
    assert search.chosen(params, by_fold[:, None]) == 1
    with pytest.raises(aejax.InputError, match="every setting has models that div"):
        search.chosen(params, np.full((4, 1, 4), np.nan))
    twice = [{"latent_dim": 2, "beta": b} for b in (1, 2)]
    assert search.chosen(twice, np.array([[[-2.0, -1.9]], [[-1.0, -1.1]]])) == 1


def test_folds_share_a_program(compiles):
    def count(cv):
        before = len(compiles)
        AutoencoderCV("ae", [2], n_seeds=1, cv=cv, **SAME).fit(X[:, :7])
        return len(compiles) - before

    count(2)  # what is compiled once in a process, whatever is trained
    three, four = count(3), count(4)  # 80 rows: 53 or 54 to train on, and 60
    assert abs(four - three) <= 1


def test_a_diverging_setting_stops_nobody():
    grid = {"learning_rate": [1e-2, 1e9]}
    values = dict(param_grid=grid, n_seeds=1, cv=2, config={"optimizer": "sgd"})
    fitted = AutoencoderCV("ae", [2], **values, **SAME).fit(X)
    means = fitted.cv_results_["mean_test_score"]
    assert np.isfinite(means[0]) and np.isnan(means[1])
    assert fitted.best_index_ == 0
    assert list(fitted.cv_results_["rank_test_score"]) == [1, 2]


def test_grid_search_works_and_is_warned_of():
    one = Autoencoder("ae", **SAME | {"epochs": 2})
    grid = model_selection.GridSearchCV(one, {"latent_dim": [1, 2, 3]}, cv=2)
    with pytest.warns(UserWarning, match="AutoencoderCV trains all") as caught:
        grid.fit(X[:30])
    assert len(caught) == 1 and grid.best_estimator_.transform(X).shape[0] == 80
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model_selection.cross_val_score(one, X[:30], cv=3)  # one setting, no search


def test_values_that_are_missing_in_some_folds():
    hidden = X[:40].copy()
    hidden[3, 2] = np.nan
    values = dict(network="linear", epochs=2, random_state=0, n_seeds=1, cv=2)
    fitted = AutoencoderCV("ae", [1, 2], **values).fit(hidden)
    assert np.isfinite(fitted.cv_results_["mean_test_score"]).all()
    assert np.isfinite(fitted.reconstruct(hidden)).all()
    assert fitted.curve_.pca_mse.isna().all()
