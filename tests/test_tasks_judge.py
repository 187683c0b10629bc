"""Anomalies, transfer, few labels: real digits, small; oracles of their maths."""

import jax
import numpy as np
import pytest

from aejax import config, data, panels, representation, tasks
from aejax.tasks import anomaly, represent, transfer

Split = data.Split
SIZES = {"latent_dim": [2, 8]}
PROBES = "linear probe", "nearest code"


@pytest.fixture(scope="module")
def views(small):
    """Models of digits 0 and of digits 9, few steps."""
    axes = {"dataset": ["digits:0", "digits:9"]}
    fields = {"latent_dim": 8, "batch_size": 32, "epochs": 150, "eval_every": 150}
    return small("ae", axes, **fields).models()


@pytest.fixture(scope="module")
def halves(small):
    return small("ae", {"dataset": ["digits:0-4", "digits:5-9"]}, latent_dim=16)


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


def test_a_model_of_every_class_or_of_other_data_knows_no_anomalies(
    views, small, digits
):
    model = small("denoising", latent_dim=32, corruption="gaussian", level=0.5).model()
    with pytest.raises(config.InputError, match="--dataset digits:K"):
        anomaly.apply([model], digits)
    with pytest.raises(config.InputError, match="--dataset other:K"):
        anomaly.apply(views, digits._replace(name="other"))


def test_a_threshold_keeps_its_rate_and_distances_are_of_the_codes_ellipse():
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
    held = np.square(parts[1].x - model.reconstruct(parts[1].x)).mean()
    both = 64 * error / held + got["mahalanobis"]
    np.testing.assert_allclose(got["both"], both, rtol=1e-4)
    noise = np.random.default_rng(0).permuted(parts[2].x.reshape(250, 64), axis=1)
    strange = anomaly.scores(model, *parts[:2])(Split(noise.reshape(-1, 8, 8, 1)))
    for kind, values in strange.items():
        assert np.median(values) > np.quantile(got[kind], 0.9)
    binary = [part._replace(x=np.round(part.x)) for part in parts]
    assert "nll" in anomaly.scores(model, *binary[:2])(binary[2])


def test_a_data_set_of_normal_examples_alone_is_trained_on_whole(digits):
    def trained_on(data):
        (sweep,) = anomaly.sweeps(data)
        return sweep.axes["dataset"]

    assert trained_on(digits) == [f"digits:{k}" for k in (0, 3, 6, 9)]
    assert trained_on(data.load("digits:4")) == ["digits:4"]


def test_autoencoders_are_specific_to_their_data(halves, digits, forgetful, drawn):
    result = transfer.apply(halves.models(), digits)
    own, other = column(result, "mse of own"), column(result, "mse of other")
    assert list(own) == [
        f"{s} of {v}" for v in ("0-4", "5-9") for s in ("ae", "PCA k=16")
    ]
    for name in own:
        assert other[name] > 1.5 * own[name]
    for view, model in zip(("0-4", "5-9"), halves.models(), strict=True):
        mine = np.isin(digits.test.y, range(int(view[0]), int(view[2]) + 1))
        x = digits.test.x / np.float32(16)
        error = np.square(x - model.reconstruct(x)).mean((1, 2, 3))
        np.testing.assert_allclose(own[f"ae of {view}"], error[mine].mean(), rtol=1e-5)
        np.testing.assert_allclose(
            other[f"ae of {view}"], error[~mine].mean(), rtol=1e-5
        )
        worst = max(range(10), key=lambda k: error[digits.test.y == k].mean())
        assert column(result, "worst class")[f"ae of {view}"] == f"{worst}"
        assert f"ae of {view}: {worst}, " in result.text
    assert result.metrics == transfer.apply(halves.models(), forgetful(digits)).metrics
    assert drawn(result)


def test_classes_are_called_by_their_labels(
    halves, digits, drawn, tmp_path, monkeypatch
):
    words = tuple("zero one two three four five six seven eight nine".split())
    called = digits._replace(labels=words)
    result = transfer.apply(halves.models(), called)
    assert set(column(result, "worst class").values()) <= set(words)
    assert list(result.panels[1].columns) == list(words)
    # A model of each class, and of each half, by names that are found again.
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path))
    y = np.repeat(["b", "a,c", "10", "9"], 50)
    for labels, some in ((y, ["10", "b"]), (np.repeat([-3, 2, 5, 9], 50), ["-3", "9"])):
        np.savez(tmp_path / "own.npz", x=np.ones((200, 2)), y=labels)
        data_set = data.load(str(tmp_path / "own.npz"))
        (sweep,) = anomaly.sweeps(data_set)
        names = [n.removeprefix(f"{data_set.name}:") for n in sweep.axes["dataset"]]
        assert names == some
        (sweep,) = transfer.sweeps(data_set)
        low, high = (data.load(name) for name in sweep.axes["dataset"])
        assert [sorted(set(v.train.y)) for v in (low, high)] == [[0, 1], [2, 3]]
        np.testing.assert_array_equal(
            transfer.foreign(low, data_set), data_set.test.y >= 2
        )
    xy, points = np.arange(8.0).reshape(4, 2), np.array([0, 1, 1, 0])
    panel = panels.Points("map", xy, points, names={0: "cat", 1: "a dog\nwith more"})
    (ax,) = drawn(tasks.Result([], [panel], "")).axes
    assert [t.get_text() for t in ax.texts] == ["cat", "a dog\\… more"]


def test_models_meet_another_data_set(halves, digits, tmp_path):
    file = tmp_path / "negative.npz"
    negative = {
        s: 1 - getattr(digits, s).x / np.float32(16) for s in data.dataset.SPLITS
    }
    np.savez(file, **{f"x_{split}": x for split, x in negative.items()})
    model = halves.models()[0]
    result = transfer.apply([model], data.load(str(file)))
    own, other = column(result, "mse of own"), column(result, "mse of other")
    assert [row["trained on"] for row in result.metrics] == [
        *["digits:0-4"] * 2,
        str(file),
    ]
    error = np.square(negative["test"] - model.reconstruct(negative["test"])).mean()
    np.testing.assert_allclose(other["ae of 0-4"], error, rtol=1e-5)
    assert error > 3 * own["ae of 0-4"]
    assert other[f"PCA k=16 of {file}"] is None
    assert own[f"PCA k=16 of {file}"] < 0.02


def test_models_of_everything_have_nothing_to_be_transferred_to(small, digits):
    model = small("vae", latent_dim=32).model()
    with pytest.raises(config.InputError, match="--dataset digits:0-4"):
        transfer.apply([model], digits)


def test_labels_are_drawn_once_each_and_nested():
    y = np.random.default_rng(0).integers(0, 3, 90)
    rows = represent.draw(y, 20, seed=1)
    assert len(set(rows)) == len(rows) == 60
    np.testing.assert_array_equal(y[rows].reshape(20, 3), [[0, 1, 2]] * 20)
    np.testing.assert_array_equal(rows[:15], represent.draw(y, 5, seed=1))
    assert not np.array_equal(rows, represent.draw(y, 20, seed=2))


def test_few_labels_do_with_codes(small, digits, drawn):
    model = small("ae", SIZES).model(latent_dim=8)
    result = represent.apply([model], digits, labels=(1, 10), seeds=2)
    got = {(r["system"], r["classifier"]): r for r in result.metrics}
    frozen = {(n, p) for n in ("raw data", "PCA k=8", "ae") for p in PROBES}
    assert set(got) == frozen | {("ae", "fine-tuned"), ("random start", "fine-tuned")}
    for row in got.values():
        assert row["accuracy, 10 each"] > max(0.65, row["accuracy, 1 each"] + 0.1)
    shuffled = relabelled(digits, np.random.default_rng(0).permutation(digits.test.y))
    for row in represent.apply([model], shuffled, labels=(10,), seeds=2).metrics:
        assert 0.03 < row["accuracy, 10 each"] < 0.2
    assert drawn(result)


def test_fine_tuning_trains_the_encoder_with_the_labels_it_is_given(small, digits):
    model = small("ae", SIZES).model(latent_dim=8)
    train, test = tasks.held_out(digits, "train"), tasks.held_out(digits)
    rows = np.stack([represent.draw(train.y, 20, seed) for seed in range(2)])
    fresh = model.model.init(jax.random.key(1), model.batch(train.x[:1]))

    def accuracy(y, counts=(100, 200)):
        pool = train._replace(y=y)
        guesses = represent.fine_tuned(model, fresh, pool, rows, counts, test)
        return np.array([(g == test.y[:, None]).mean(0) for g in guesses])

    few, more = accuracy(train.y)
    y = train.y.copy()
    y[np.setdiff1d(rows[:, 100:], rows[:, :100])] = 0
    np.testing.assert_array_equal(accuracy(y, (100,)), [few])
    z, z_test = (
        np.asarray(model.model.encode({"net": fresh}, model.batch(part.x)))
        for part in (train, test)
    )
    for seed, at in enumerate(rows):
        frozen = representation.probe_accuracy(z[at], train.y[at], z_test, test.y)
        assert more[seed] > max(few[seed], frozen + 0.1)
