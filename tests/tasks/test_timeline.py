"""anomaly on series: a score for each step, its threshold, its file, its pictures."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import aejax
from aejax import config
from aejax import data as data_lib
from aejax.report import canvas
from aejax.tasks import anomaly, panels, ranking, steps

COUNT, WINDOW = 1500, 24


def write(path, seed=0, factor=1.0, gap=True):
    """Two features of a day of 24 steps; in test heat stands still, thrice."""
    rng, t = np.random.default_rng(seed), np.arange(COUNT)
    day = np.sin(2 * np.pi * t / 24)
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=COUNT, freq="h"),
            "heat": factor * (20 + 5 * day + rng.normal(0, 0.3, COUNT)),
            "load": 3 * np.roll(day, 4) + rng.normal(0, 0.3, COUNT),
            "odd": 0,
        }
    )
    for start in (1000, 1200, 1390):
        frame.loc[start : start + 17, "heat"] = frame.heat[start]
        frame.loc[start : start + 17, "odd"] = 1
    frame.drop(range(300, 310) if gap else []).to_csv(path, index=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of a series with labels, and the series."""
    path = tmp_path_factory.mktemp("series") / "s.csv"
    write(path)
    data = data_lib.load(f"{path}@window={WINDOW},stride=4,test=0.4:odd")
    fields = {"latent_dim": 4, "hidden": (32,), "epochs": 60, "eval_every": 60}
    base = aejax.Config(dataset=data.name, batch_size=32, **fields)
    return aejax.sweep(base).model(), data


@pytest.fixture(scope="module")
def result(trained):
    model, data = trained
    return anomaly.apply([model], data)


def column(result, name):
    return {row["system"]: row[name] for row in result.metrics}


def test_a_step_has_the_mean_of_its_windows():
    rng = np.random.default_rng(0)
    starts, errors = np.array([0, 2, 3, 11]), rng.random((4, 5))
    got = steps.by_step(errors, starts, 20)
    for step in range(20):
        some = [errors[i, step - s] for i, s in enumerate(starts) if 0 <= step - s < 5]
        want = np.mean(some) if some else np.nan
        np.testing.assert_allclose(got[step], want)


@pytest.mark.parametrize("period", [7, 24, 100])
def test_a_period_is_recognised(period):
    rng, t = np.random.default_rng(0), np.arange(1000)
    wave = np.sin(2 * np.pi * t / period) + 0.3 * np.sin(4 * np.pi * t / period + 1)
    x = np.stack([wave + rng.normal(0, 0.3, 1000), rng.normal(0, 1, 1000)], 1)
    assert abs(steps.season(x[:, :1]) - period) <= period // 50
    assert abs(steps.season(x) - period) <= period // 50
    assert steps.season(np.ones((50, 2))) == 1
    assert steps.season(rng.normal(size=(1000, 1))) == 1, "noise has none"


def test_the_seasonal_forecast_is_the_value_before():
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[12] = np.nan
    got = steps.seasonal(x, 7)
    for t in (7, 8, 15, 29):
        np.testing.assert_allclose(got[t], np.square(x[t] - x[t - 7]).mean())
    np.testing.assert_allclose(got[19], np.square(x[19] - x[11]).mean())
    np.testing.assert_allclose(got[3], np.square(x[3] - x[2]).mean())
    assert got[0] == 0 and np.isfinite(np.delete(got, 12)).all()


def test_scores_of_steps_are_in_the_order_of_the_file(trained, result):
    model, data = trained
    given = pd.read_csv(data.name.partition("@")[0])
    scores = pd.read_csv(io.BytesIO(result.files["scores.csv"]))
    assert list(scores["time"]) == list(given["when"])
    np.testing.assert_allclose(scores[["heat", "load"]], given[["heat", "load"]])
    assert list(scores["labelled"]) == list(given["odd"] == 1)
    assert list(scores["row"]) == list(range(COUNT - 10))
    counts = scores["split"].value_counts(sort=False)
    assert list(counts.items()) == [("train", 745), ("valid", 149), ("test", 596)]
    # Brute force: every window of the file, its own reconstruction, a plain mean.
    x = np.float32(data.standard.forward(given[["heat", "load"]].to_numpy()))
    sums = [[] for _ in x]
    for split in data_lib.SPLITS:
        firsts = data.rows[split][1]
        windows = np.stack([x[first : first + WINDOW] for first in firsts])
        outputs = model.reconstruct(windows)
        for first, window, output in zip(firsts, windows, outputs, strict=True):
            for i, error in enumerate(np.square(window - output)):
                sums[first + i].append(error.mean())
    np.testing.assert_allclose(scores["score"], [np.mean(s) for s in sums], rtol=1e-4)


def test_thresholds_and_areas_are_of_the_file(trained, result):
    _, data = trained
    scores = pd.read_csv(io.BytesIO(result.files["scores.csv"]))
    part = {s: scores[scores["split"] == s] for s in ("valid", "test")}
    assert 0.03 < part["valid"]["flagged"].mean() <= 0.05
    row, test = result.metrics[0], part["test"]
    odd = test["labelled"]
    assert row["system"] == "ae error"
    assert row["step auroc"] == pytest.approx(
        metrics.roc_auc_score(odd, test["score"]), abs=1e-4
    )
    assert row["detection rate"] == pytest.approx(test["flagged"][odd].mean())
    assert row["false alarm rate"] == pytest.approx(test["flagged"][~odd].mean())
    first = data.rows["test"][1]
    label = [scores["labelled"][f : f + WINDOW].any() for f in first]
    assert label == (data.test.y == 1).tolist() and row["window auroc"] > 0.8


def test_planted_steps_are_seen(trained, result, drawn):
    model, data = trained
    names = ["error", "window", "mahalanobis"]
    auroc = column(result, "step auroc")
    assert list(auroc)[:3] == [f"ae {n}" for n in names]
    others = ("PCA k=2", "PCA k=4", "PCA k=30", "seasonal naive 24")
    pairs = {f"{name} {kind}" for name in others for kind in names[:2]}
    assert set(list(auroc)[3:]) == {*pairs, "Isolation Forest"}
    assert auroc["ae error"] > 0.8 and auroc["seasonal naive 24 error"] > 0.6
    assert column(result, "false alarm rate")["ae error"] < 0.25
    labels = np.random.default_rng(0).permutation(data.series.strange)
    shuffled = data.series._replace(strange=labels)
    blind = anomaly.apply([model], data._replace(series=shuffled))
    assert 0.3 < column(blind, "step auroc")["ae error"] < 0.7
    lines = [p for p in result.panels if isinstance(p, panels.Timeline)]
    assert len(lines[0].spans) == 3 and lines[1].limit > 0
    assert drawn(result)


def test_without_labels_steps_are_ranked(trained, drawn):
    model, data = trained
    blank = data._replace(series=data.series._replace(strange=None))
    ranked = anomaly.apply([model], blank, score="mahalanobis", period=24)
    assert ranked.metrics[0]["system"] == "ae mahalanobis"
    assert ranked.metrics[0]["agreement"] == 1 and "alarm rate" in ranked.metrics[0]
    scores = pd.read_csv(io.BytesIO(ranked.files["scores.csv"]))
    alarm = scores["flagged"][scores["split"] == "test"].mean()
    assert ranked.metrics[0]["alarm rate"] == pytest.approx(alarm)
    assert "labelled" not in scores and drawn(ranked)


def test_another_series_is_asked_in_the_models_units(trained, tmp_path):
    model, data = trained
    write(tmp_path / "o.csv", seed=1, gap=False)
    write(tmp_path / "p.csv", seed=1, factor=10.0, gap=False)
    names = [f"{tmp_path / n}@window={WINDOW},stride=4" for n in ("o.csv", "p.csv")]
    same, far = (anomaly.apply([model], data_lib.load(f"{n}:odd")) for n in names)
    scores, other = (
        pd.read_csv(io.BytesIO(r.files["scores.csv"])) for r in (same, far)
    )
    assert f"Of {COUNT:,} steps (train, valid, test" in same.text
    assert column(same, "step auroc")["ae error"] > 0.8
    assert other["flagged"].mean() > 0.95 > 0.2 > scores["flagged"].mean()


def test_what_cannot_be_asked_is_refused(trained, tmp_path):
    model, data = trained
    with pytest.raises(config.InputError, match="score 'mean' is unknown"):
        anomaly.apply([model], data, score="mean")
    with pytest.raises(config.InputError, match=r"period is 5000; it must lie in \[0"):
        anomaly.apply([model], data, period=5000)
    write(tmp_path / "o.csv")
    other = data_lib.load(f"{tmp_path / 'o.csv'}@window=30:odd")
    with pytest.raises(config.InputError, match=r"take examples \(24, 2\), and"):
        anomaly.apply([model], other)


def test_a_labelled_series_is_trained_whole(trained):
    (sweep,) = anomaly.sweeps(trained[1])
    assert sweep.axes["dataset"] == [trained[1].name]
    assert sweep.values["network"] == "mlp" and sweep.values["select"] == "best"


def test_no_peak_is_lost_in_a_picture(drawn):
    values = np.zeros(50_000)
    values[31_237] = 1.0
    values[100:200] = np.nan
    with canvas.style():
        fig, (ax,) = canvas.panels([2.4])
        canvas.timeline(ax, np.arange(50_000.0), {"a": values}, {"a": "k"}, False)
        line = ax.lines[0].get_ydata()
    assert len(line) < 2_500 and np.nanmax(line) == 1.0
    assert ranking.threshold(values[200:], 0.0) == 1.0


@pytest.mark.shared
def test_a_failing_machine_is_seen(shared_data):
    """NAB's, whose labelled windows are given by time; the code's distance sees it."""
    folder = shared_data / "series"
    file = "machine_temperature_system_failure.csv"
    name = f"{folder / file}@window=128,stride=64,test=0.6"
    data = data_lib.load(name)
    fields = {"latent_dim": 16, "epochs": 100, "eval_every": 100, "batch_size": 32}
    model = aejax.sweep(aejax.Config(dataset=name, **fields)).model()
    times = data.series.clock.times
    strange = np.zeros(len(times), bool)
    for low, high in json.loads((folder / "windows.json").read_text())[file]:
        strange |= (times >= np.datetime64(low)) & (times <= np.datetime64(high))
    assert strange.sum() == 2268
    found = anomaly.apply(
        [model], data._replace(series=data.series._replace(strange=strange))
    )
    auroc = column(found, "step auroc")
    assert auroc["ae mahalanobis"] > 0.85 > auroc["ae error"]
