"""Imputation: PPCA's conditional expectation, intervals that cover, what is hidden."""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import aejax
from aejax import config, data, evaluate, tasks
from aejax.runs import plan
from aejax.tasks import imputation, impute
from tests.objectives.ppca import MEAN, NOISE, OFF, D, W, linear, ppca, trained

ROWS = 256
COVARIANCE = W @ W.T + NOISE * np.eye(D)


@pytest.fixture(scope="module")
def holes():
    """(ROWS, D) of PPCA, and without a third of its values, one in each row left."""
    x = linear("vae", size=ROWS)[0].batch.x
    away = np.random.default_rng(5).random(x.shape) < 1 / 3
    away[:, 0] &= ~away.all(1)
    return x, np.where(away, np.float32(np.nan), x)


@pytest.fixture(scope="module")
def model(holes, tmp_path_factory):
    """An Autoencoder of PPCA whose q reads what is missing as 0, and so is wrong."""
    params = ppca(0.0, 1.5)
    code = params["net"]["code"]
    code["latent_kernel"] = np.concatenate(
        [code["latent_kernel"], np.zeros_like(code["latent_kernel"])], -1
    )
    return trained(tmp_path_factory.mktemp("ppca") / "x.npz", holes[1], params)


def conditional(row):
    """Mean and deviation (D,) of a row's missing values given the others."""
    known = ~np.isnan(row)
    some = COVARIANCE[np.ix_(~known, known)]
    inverse = np.linalg.inv(COVARIANCE[np.ix_(known, known)])
    mean, spread = row.copy(), np.zeros(D)
    mean[~known] = MEAN[~known] + some @ inverse @ (row[known] - MEAN[known])
    rest = COVARIANCE[np.ix_(~known, ~known)] - some @ inverse @ some.T
    spread[~known] = np.sqrt(np.diag(rest))
    return mean, spread


def test_log_p_is_that_of_what_is_observed(model, holes):
    x = holes[1]
    result = evaluate.log_likelihood(model, x, key=jax.random.key(0), samples=3000)
    known = ~np.isnan(x)
    log_p = [
        scipy.stats.multivariate_normal(MEAN[k], COVARIANCE[np.ix_(k, k)]).logpdf(r[k])
        for r, k in zip(x, known, strict=True)
    ]
    off = (result.nll + log_p) / np.maximum(result.error, 1e-3)
    good = result.ess > 100  # q far off the posterior says little of its own error
    assert good.mean() > 0.8 and np.abs(off[good]).max() < 5


def test_imputations_are_the_conditional_expectation(model, holes):
    x, given = holes
    filled = imputation.multiple(model, given, samples=3000, draws=200)
    want, spread = np.array([conditional(row) for row in given]).transpose(1, 0, 2)
    away = np.isnan(given)
    np.testing.assert_array_equal(filled.x[~away], x[~away])
    off = (filled.x - want)[away] / spread[away]
    assert np.sqrt(np.square(off).mean()) < 0.15
    naive = np.where(away, MEAN[None], given)
    assert (
        np.square(filled.x - x)[away].mean() < 0.7 * np.square(naive - x)[away].mean()
    )
    drawn = filled.draws.std(0)[away] / spread[away]
    assert 0.85 < np.median(drawn) < 1.1
    low, high = imputation.interval(filled.draws)
    assert 0.92 < ((low <= x) & (x <= high))[away].mean() < 0.98
    means = imputation.multiple(model, given, samples=3000, draws=0)
    assert means.draws is None


def test_one_pass_fills_and_keeps_what_is_known(model, holes):
    x, given = holes
    filled = imputation.single(model, given)
    away = np.isnan(given)
    np.testing.assert_array_equal(filled[~away], x[~away])
    np.testing.assert_allclose(filled[away], model.reconstruct(given)[away])


def test_intervals_cover_as_often_as_they_say():
    draws = np.random.default_rng(0).exponential(size=(40, 4000, 1))
    low, high = imputation.interval(draws[:39])
    np.testing.assert_allclose(low, draws[:39].min(0))
    covered = ((low <= draws[39]) & (draws[39] <= high)).mean()
    assert abs(covered - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 4000)


RNG = np.random.default_rng(0)
Z1 = RNG.normal(size=120)
TABLE = pd.DataFrame(
    {
        "a": Z1 + 0.1 * RNG.normal(size=120),
        "b": 100 - 20 * Z1 + RNG.normal(size=120),
        "up": Z1 > 0,
        "kind": np.where(Z1 > 0.5, "x", np.where(Z1 < -0.5, "y", "z")),
    }
)


def test_errors_are_those_of_hidden_values():
    d = data.from_table(TABLE)
    x = d.test.x
    cases = dict(impute.hidden(d, x, "column", 0.2, 0))
    assert list(cases) == ["a", "b", "up", "kind"]
    guess = x.copy()
    guess[:, 0] += 0.5
    guess[:3, 2] = 1 - guess[:3, 2]
    guess[:4, 3:6] = np.roll(guess[:4, 3:6], 1, 1)
    draws = np.stack([guess - 1, guess + 1] * 20)
    spread = np.full(x.shape[1], 2.0)
    rows = {
        name: imputation.errors(d, x, away, imputation.Filled(guess, draws), spread)
        for name, away in cases.items()
    }
    assert rows["a"]["rmse"] == pytest.approx(0.25) and rows["b"]["rmse"] == 0
    assert rows["a"]["coverage"] == 1 and rows["a"]["error rate"] is None
    assert rows["up"]["error rate"] == pytest.approx(3 / len(x))
    assert rows["kind"]["error rate"] == pytest.approx(4 / len(x))
    assert rows["kind"]["rmse"] is None and rows["kind"]["coverage"] is None
    ((_, away),) = impute.hidden(d, x, "random", 0.4, 0)
    assert (away[:, 3:6] == away[:, 3:4]).all() and 0.2 < away.mean() < 0.6


def test_whole_takes_the_likeliest_category():
    d = data.from_table(TABLE)
    x = np.float32([[0.3, 1, 0.7, 0.2, 0.5, 0.3]])
    assert imputation.whole(d, x).tolist() == [[np.float32(0.3), 1, 1, 0, 1, 0]]


def test_a_table_is_imputed_better_than_by_its_mean(tmp_path, monkeypatch):
    """A whole run, of the columns' own units too."""
    monkeypatch.chdir(tmp_path)
    TABLE.to_csv("t.csv", index=False)
    d = data.load("t.csv")
    first, second = impute.sweeps(d)
    assert first.values["corruption"] == "hide"
    assert first.values["dataset"] == second.values["dataset"] == "t.csv@hide=0.2"
    asked = config.Config(
        dataset="t.csv@hide=0.2",
        objective="vae",
        latent_dim=2,
        hidden=(32,),
        batch_size=32,
        epochs=150,
    )
    aejax.sweep(asked, {}, out="run")
    run = aejax.open_run("run")
    row = run.rows[-1]
    assert {"mse", "error_rate"} <= row.keys() and row["error_rate"] < 0.5
    trained = run.model()
    result = impute.apply([trained], d)
    table = pd.DataFrame(result.metrics).set_index(["system", "hidden"])
    for pattern in impute.PATTERNS:
        assert table.loc[("vae multiple", pattern), "rmse"] < 0.7
        assert table.loc[("mean", pattern), "rmse"] > 0.8
    assert set(table.index.get_level_values(0)) >= {"KNNImputer", "IterativeImputer"}
    frame = TABLE.iloc[:5].astype(object).mask(np.eye(5, 4) > 0)
    given = trained.as_given(imputation.single(trained, data.encoded(d, frame)))
    known = frame["b"].notna()
    np.testing.assert_allclose(
        given["b"][known], TABLE["b"].iloc[:5][known].astype(float), rtol=1e-4
    )
    (tmp_path / "t.csv").unlink()
    alone = aejax.open_run("run").model()  # columns and units are in run.json
    np.testing.assert_array_equal(alone.encode(frame), trained.encode(frame))
    pd.testing.assert_frame_equal(alone.as_given(d.test.x), data.as_given(d, d.test.x))
    plain = tasks.TASKS["represent"]
    with pytest.raises(config.InputError, match="labels"):
        plain.check(d)


def test_only_models_that_can_draw_do(small):
    with pytest.raises(config.InputError, match="no multiple imputations"):
        imputation.multiple(small("ae").models()[0], np.zeros((2, 8, 8, 1)))


def test_other_networks_cannot_tell_what_is_missing(tmp_path):
    np.save(tmp_path / "x.npy", np.where(np.eye(40, 9) > 0, np.nan, 1.0) * OFF[0])
    asked = {"dataset": str(tmp_path / "x.npy"), "batch_size": 16, "hidden": (8,)}
    for more, message in (
        ({"objective": "stacked"}, "neither labels nor what is missing"),
        ({"network": "conv"}, "needs images"),
    ):
        with pytest.raises(config.InputError, match=message):
            plan.plan(config.Config(**asked, **more), {})
    hiding = {"objective": "denoising", "network": "conv", "batch_size": 16}
    asked = config.Config(**hiding, hparams={"corruption": "hide"})
    with pytest.raises(config.InputError, match=r"cannot tell; use --network linear"):
        plan.plan(asked, {})


def test_rows_without_any_value_count_nowhere(tmp_path, monkeypatch):
    """mse and error_rate are means over examples that have a value; PCA's, too."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = TABLE[["a", "b", "kind"]].astype(object)
    frame = frame.mask(rng.random(frame.shape) < 0.5)
    frame.to_csv("h.csv", index=False)
    asked = config.Config(
        dataset="h.csv", latent_dim=1, hidden=(8,), batch_size=32, epochs=5
    )
    run = aejax.sweep(asked, {})
    d, trained = data.load("h.csv"), run.model()
    x, x_hat = d.test.x, trained.reconstruct(d.test.x)
    numbers = x[:, :2]
    known = ~np.isnan(numbers).all(1)
    assert not known.all()
    each = np.nanmean(np.square(numbers - x_hat[:, :2])[known], 1)
    assert run.rows[-1]["mse"] == pytest.approx(each.mean(), rel=1e-4)
    seen = ~np.isnan(x[:, 2])
    wrong = x[seen, 2:].argmax(1) != x_hat[seen, 2:].argmax(1)
    assert run.rows[-1]["error_rate"] == pytest.approx(wrong.mean(), rel=1e-4)
    (line,) = [s for s in run.summary if s["objective"] == "pca"]
    center = np.nanmean(d.train.x, 0)
    axis = np.linalg.svd(np.nan_to_num(d.train.x - center))[2][0]
    rest = np.nan_to_num(x - center)
    left = np.where(np.isnan(x), np.nan, rest - np.outer(rest @ axis, axis))[:, :2]
    want = np.nanmean(np.square(left[known]), 1).mean()
    assert line["mse_mean"] == pytest.approx(want, rel=1e-5)


def test_a_table_without_numbers_has_bars_of_errors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TABLE[["up", "kind"]].to_csv("c.csv", index=False)
    asked = config.Config(
        dataset="c.csv@hide=0.2", latent_dim=1, hidden=(8,), batch_size=32, epochs=30
    )
    model = aejax.sweep(asked, {}).model()
    result = impute.apply([model], data.load("c.csv"))
    assert [p.title for p in result.panels][0] == "error rate, hidden at random"
    table = pd.DataFrame(result.metrics).set_index(["system", "hidden"])
    modes = table.loc["mean", "error rate"]
    assert (table.loc["median", "error rate"] == modes).all(), "both are the mode"
