"""anomaly: one class as normal, scores by their formulas."""

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.tasks import anomaly

Split = data.Split
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


def test_a_model_of_every_class_knows_no_anomalies(views, small, digits):
    model = small("denoising", latent_dim=32, corruption="gaussian", level=0.5).model()
    with pytest.raises(config.InputError, match="--dataset digits:K"):
        anomaly.apply([model], digits)
    with pytest.raises(config.InputError, match="--dataset other:K"):
        anomaly.apply(views, digits._replace(name="other"))


def test_a_threshold_keeps_its_rate():
    scores = np.arange(100.0)
    assert (scores > anomaly.threshold(scores, 0.05)).sum() == 4
    assert (scores[:3] > anomaly.threshold(scores[:3], 0.05)).sum() == 0
    rng = np.random.default_rng(0)
    spread = np.array([[1.0, 0.0], [2.0, 0.5]])
    distance = anomaly.mahalanobis(rng.normal(size=(20_000, 2)) @ spread.T + 3)
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
    assert trained_on(data.load("digits:4")) == ["digits:4"]
