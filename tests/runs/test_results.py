"""What a row and a line of the summary hold."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from sklearn import datasets

import aejax
from aejax import data
from aejax.runs import plan, results
from aejax.training import source as sources

DIGITS = datasets.load_digits().images.astype(np.uint8)[..., None]
TRAIN = DIGITS[:1200]


def row(k, seed, mse, *, lost=False, split="test", **more):
    base = {"latent_dim": k, "seed": seed, "objective": "ae", "member": 10 * k + seed}
    return base | {"split": split, "diverged": lost, "mse": mse} | more


def test_summary_averages_over_seeds():
    rows = [
        row(2, 0, 1.0, kl=5.0),
        row(2, 1, 3.0, kl=None),
        row(2, 2, None, lost=True, kl=9.0),
        row(2, 0, 99.0, split="valid", kl=9.0),
        row(4, 0, 0.5, kl=None),
        row(8, 0, None, lost=True),
    ]
    axes = ("objective", "latent_dim", "seed")
    parameters = {20: 100, 21: 100, 22: 100, 40: 200, 80: 400}
    two, four, eight = results.summary(rows, axes, ("mse", "kl"), parameters)
    assert "seed" not in two
    assert list(two)[:2] == ["objective", "latent_dim"]
    assert (two["n_seeds"], two["diverged"], two["parameters"]) == (2, 1, 100)
    assert (two["mse_mean"], two["kl_mean"]) == (2.0, 5.0)
    want = 2 * np.exp(np.divide(scipy.stats.t.interval(0.95, 1, 0.0, 1.0), 2))
    np.testing.assert_allclose((two["mse_low"], two["mse_high"]), want)
    assert two["kl_low"] is None and two["kl_high"] is None
    assert (four["latent_dim"], four["n_seeds"], four["parameters"]) == (4, 1, 200)
    assert four["mse_mean"] == 0.5 and four["mse_low"] is four["kl_mean"] is None
    assert (eight["n_seeds"], eight["diverged"], eight["mse_mean"]) == (0, 1, None)


def test_what_is_never_negative_has_such_intervals():
    names = ("mse", "mse_k4", "kl", "kl_2", "loss", "nll", "psnr", "neg_elbo")
    rows = [row(2, s, v) | dict.fromkeys(names, v) for s, v in ((0, 8.0), (1, 108.0))]
    (line,) = results.summary(rows, ("latent_dim", "seed"), names, {20: 1, 21: 1})
    below = {n for n in names if line[f"{n}_low"] < 0}
    assert below == {"loss", "nll", "psnr", "neg_elbo"}


def test_peak_is_one_or_the_range_of_float_data():
    def peak(train, scale=1.0):
        """Of the one Source and of the tasks, whatever an outlier among test data."""
        test = 100 * train[:2]
        parts = (data.Split(a) for a in (train, test, test))
        dataset = data.Dataset("x", *parts, "gaussian", scale)
        assert sources.describe(dataset).peak == data.peak(dataset)
        return data.peak(dataset)

    assert peak(TRAIN, 16.0) == 1.0
    assert peak((TRAIN > 7).astype(np.uint8)) == 1.0
    x = np.linspace(-2, 3, 40, dtype=np.float32).reshape(10, 4)
    assert peak(x) == pytest.approx(5.0)
    assert peak(0.1 * x + 0.2) == pytest.approx(0.5), "in [0, 1/2]: cases, 12"
    assert peak(0 * x) == 1.0


def test_rows_have_every_column_and_no_infinity():
    config = aejax.Config(objective="vae", batch_size=129)  # 10 steps an epoch
    axes = {"latent_dim": [2, 4], "likelihood": ["categorical"]}
    (population,) = plan.plan(config, axes).populations
    data_spec = population.spec.data._replace(sizes=(1290, 0, 597))
    spec = population.spec._replace(data=data_spec)
    population = dataclasses.replace(population, spec=spec)
    values = {"loss": 0.1, "mse": 0.01, "neg_elbo": 64.0}
    metrics = {n: np.float32([[v] * 3, [np.nan] * 3]) for n, v in values.items()}
    out = results.rows(
        population,
        metrics,
        np.array([False, True]),
        step=30,
        splits=("train", "valid"),
        columns=("loss", "mse", "psnr", "kl", "bits_per_dim"),
    )
    assert [(r["member"], r["split"]) for r in out] == [(0, "train"), (1, "train")]
    assert list(out[0]) == list(out[1])
    assert out[0]["epoch"] == 3 and out[0]["step"] == 30 and out[0]["latent_dim"] == 2
    assert np.float32(out[0]["loss"]) == np.float32(0.1) and out[0]["kl"] is None
    assert out[0]["psnr"] == pytest.approx(20.0) and out[0]["diverged"] is False
    np.testing.assert_allclose(out[0]["bits_per_dim"], 1 / np.log(2), rtol=1e-6)
    assert [out[1][n] for n in ("loss", "mse", "psnr", "bits_per_dim")] == [None] * 4
    assert out[1]["diverged"] is True
