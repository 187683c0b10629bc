"""anomaly: one class as normal, ranks without labels, scores by their formulas."""

import io

import numpy as np
import pandas as pd
import pytest

from aejax import config, tasks
from aejax import data as data_lib
from aejax.tasks import anomaly, ranking

Split = data_lib.Split
SIZES = {"latent_dim": [2, 8]}


@pytest.fixture(scope="module")
def views(small):
    """Models of digits 0 and of digits 9, few steps."""
    axes = {"dataset": ["digits:0", "digits:9"]}
    fields = {"latent_dim": 8, "batch_size": 32, "epochs": 150, "eval_every": 150}
    return small("ae", axes, **fields).models()


def relabelled(data, y):
    return data._replace(test=data.test._replace(y=y.astype(np.int32)))


def column(result, name):
    return {row["system"]: row[name] for row in result.metrics}


def test_anomalies_are_found_in_the_test_split(views, digits, forgetful, drawn):
    result = anomaly.apply(views, digits, rate=0.1)
    auroc = column(result, "auroc")
    ours = {f"ae {kind}" for kind in ("error", "mahalanobis", "both")}
    pca = {f"PCA k={k} error" for k in (2, 8, 30)}
    others = {"distance to the mean", "Isolation Forest", "5 nearest neighbours"}
    assert set(auroc) == ours | pca | others
    assert auroc["ae error"] > 0.98
    assert auroc["Isolation Forest"] > 0.95
    assert column(result, "detection rate")["ae error"] > 0.8
    assert column(result, "false alarm rate")["ae error"] < 0.3
    assert result.metrics == anomaly.apply(views, forgetful(digits), rate=0.1).metrics
    # Labels of test alone say what an anomaly is: without their order nothing is found.
    shuffled = np.random.default_rng(0).permutation(digits.test.y)
    blind = column(anomaly.apply(views, relabelled(digits, shuffled)), "auroc")
    assert all(0.35 < v < 0.65 for v in blind.values())
    assert drawn(result)


@pytest.fixture(scope="module")
def ranked(small, digits):
    """Of a model of all digits: test ones of which the last 25 are shuffled pixels."""
    model = small("denoising", latent_dim=32, corruption="gaussian", level=0.5).model()
    x = digits.test.x.copy()
    noise = np.random.default_rng(0).permuted(x[-25:].reshape(25, -1), axis=1)
    x[-25:] = noise.reshape(25, *x.shape[1:])
    data = digits._replace(test=digits.test._replace(x=x))
    return model, data, anomaly.apply([model], data, rate=0.1)


def test_without_anomalies_known_examples_are_ranked(ranked, drawn):
    model, data, result = ranked
    scores = pd.read_csv(io.BytesIO(result.files["scores.csv"]))
    assert list(scores["split"].unique()) == ["train", "valid", "test"]
    test = scores[scores["split"] == "test"]
    assert list(test["row"]) == list(range(len(data.test.x)))
    assert set(test["row"][test["score"].nlargest(25).index]) == set(range(225, 250))
    error = np.square(data.test.x / 16 - model.reconstruct(data.test.x / 16))
    np.testing.assert_allclose(test["score"], error.mean((1, 2, 3)), rtol=1e-4)
    alarms = column(result, "alarm rate")
    assert 0.1 < alarms["denoising error"] < 0.3
    assert alarms["denoising error"] == pytest.approx(test["alarm"].mean())
    assert column(result, "discoveries")["denoising error"] >= 25
    agreement = column(result, "agreement")
    assert agreement["denoising error"] == 1 and agreement["Isolation Forest"] > 0.5
    valid = scores[scores["split"] == "valid"]
    assert valid["alarm"].mean() <= 0.1, "at most as many as were asked for"
    assert drawn(result)


def test_anomalies_in_training_are_trimmed(small, digits, tmp_path):
    """Shuffled pixels, a twentieth of all splits; twice that share is left out."""
    rng, dirty = np.random.default_rng(0), {}
    for split in data_lib.SPLITS:
        part = getattr(digits, split)
        x, n = part.x.copy(), len(part.x) // 20
        x[:n] = rng.permuted(x[:n].reshape(n, -1), axis=1).reshape(n, *x.shape[1:])
        dirty[split] = part._replace(x=x)
    model = small("denoising", latent_dim=32, corruption="gaussian", level=0.5).model()
    data = digits._replace(**dirty)
    result = anomaly.apply([model], data, contamination=0.1)
    scores = pd.read_csv(io.BytesIO(result.files["scores.csv"]))
    for split in ("train", "valid"):
        part = scores[scores["split"] == split].sort_values("row")
        assert set(part["used"]) == {split, "trimmed"}
        trimmed = part["used"].to_numpy() == "trimmed"
        assert trimmed.mean() == pytest.approx(0.1, abs=0.01)
        assert trimmed[: len(part) // 20].all(), "all of those that were planted"
    assert "were left out" in result.text
    with pytest.raises(config.InputError, match=r"lie in \[0, 0.5\)"):
        anomaly.apply([model], data, contamination=0.5)


def test_other_data_than_the_models_own_are_new(ranked):
    model, data, result = ranked
    other = anomaly.apply([model], data._replace(name="other"), rate=0.1)
    scores, before = (
        pd.read_csv(io.BytesIO(r.files["scores.csv"])) for r in (other, result)
    )
    assert set(scores["used"]) == {"new"} and set(before["used"]) == set(
        data_lib.SPLITS
    )
    pd.testing.assert_frame_equal(
        scores.drop(columns="used"), before.drop(columns="used")
    )
    assert f"Of {len(scores)} examples" in other.text, "all of them are asked"


def test_models_of_classes_rank_no_other_data(views, digits):
    with pytest.raises(config.InputError, match="--where dataset=NAME"):
        anomaly.apply(views, digits._replace(name="other"))
    alone = anomaly.apply(views[:1], digits)
    scores = pd.read_csv(io.BytesIO(alone.files["scores.csv"]))
    assert "auroc" in alone.metrics[0] and len(scores) == 1797


def test_a_threshold_keeps_its_rate():
    scores = np.arange(100.0)
    assert (scores > ranking.threshold(scores, 0.05)).sum() == 4
    assert (scores[:3] > ranking.threshold(scores[:3], 0.05)).sum() == 0
    rng = np.random.default_rng(0)
    spread = np.array([[1.0, 0.0], [2.0, 0.5]])
    distance = ranking.mahalanobis(rng.normal(size=(20_000, 2)) @ spread.T + 3)
    unit = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])
    np.testing.assert_allclose(distance(unit @ spread.T + 3), 1, rtol=0.05)


def test_scores_of_a_likelihood_and_their_sum(small, digits):
    model = small("vae", latent_dim=32).model()
    parts = [tasks.held_out(digits, split) for split in ("train", "valid", "test")]
    got = anomaly.scores(model, *parts[:2])(parts[2])
    assert set(got) == {"error", "mahalanobis", "both", "cross-entropy"}, "grey"
    error = np.square(parts[2].x - model.reconstruct(parts[2].x)).mean((1, 2, 3))
    np.testing.assert_allclose(got["error"], error, rtol=1e-5)
    scale = np.square(parts[1].x - model.reconstruct(parts[1].x)).mean()
    both = 64 * error / scale + got["mahalanobis"]
    np.testing.assert_allclose(got["both"], both, rtol=1e-4)
    noise = np.random.default_rng(0).permuted(parts[2].x.reshape(250, 64), axis=1)
    strange = anomaly.scores(model, *parts[:2])(Split(noise.reshape(-1, 8, 8, 1)))
    for kind, values in strange.items():
        assert np.median(values) > np.quantile(got[kind], 0.9)
    binary = [part._replace(x=np.round(part.x)) for part in parts]
    assert "nll" in anomaly.scores(model, *binary[:2])(binary[2])


def test_a_set_of_normal_examples_is_trained_whole(digits):
    def trained_on(data):
        (sweep,) = anomaly.sweeps(data)
        return sweep.axes["dataset"]

    assert trained_on(digits) == [f"digits:{k}" for k in (0, 3, 6, 9)]
    blank = {s: getattr(digits, s)._replace(y=None) for s in data_lib.SPLITS}
    assert trained_on(digits._replace(**blank)) == ["digits"]
    assert trained_on(data_lib.load("digits:4")) == ["digits:4"]
