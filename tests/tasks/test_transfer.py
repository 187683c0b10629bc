"""transfer: models meet classes and data they were not trained on."""

import numpy as np
import pytest

from aejax import config, data, tasks
from aejax.tasks import anomaly, panels, transfer


@pytest.fixture(scope="module")
def halves(small):
    return small("ae", {"dataset": ["digits:0-4", "digits:5-9"]}, latent_dim=16)


def column(result, name):
    return {row["system"]: row[name] for row in result.metrics}


def test_autoencoders_are_specific_to_their_data(halves, digits, forgetful, drawn):
    result = transfer.apply(halves.models(), digits)
    native, other = column(result, "mse of own"), column(result, "mse of other")
    assert list(native) == [
        f"{s} of {v}" for v in ("0-4", "5-9") for s in ("ae", "PCA k=16")
    ]
    for name in native:
        assert other[name] > 1.5 * native[name]
    for view, model in zip(("0-4", "5-9"), halves.models(), strict=True):
        rows = np.isin(digits.test.y, range(int(view[0]), int(view[2]) + 1))
        x = digits.test.x / np.float32(16)
        error = np.square(x - model.reconstruct(x)).mean((1, 2, 3))
        np.testing.assert_allclose(
            native[f"ae of {view}"], error[rows].mean(), rtol=1e-5
        )
        np.testing.assert_allclose(
            other[f"ae of {view}"], error[~rows].mean(), rtol=1e-5
        )
        worst = max(range(10), key=lambda k: error[digits.test.y == k].mean())
        assert column(result, "worst class")[f"ae of {view}"] == f"{worst}"
        assert f"ae of {view}: {worst}, " in result.text
    assert result.metrics == transfer.apply(halves.models(), forgetful(digits)).metrics
    assert drawn(result)


def test_models_meet_another_data_set(halves, digits, tmp_path):
    file = tmp_path / "negative.npz"
    negative = {
        s: 1 - getattr(digits, s).x / np.float32(16) for s in data.dataset.SPLITS
    }
    np.savez(file, **{f"x_{split}": x for split, x in negative.items()})
    model = halves.models()[0]
    result = transfer.apply([model], data.load(str(file)))
    native, other = column(result, "mse of own"), column(result, "mse of other")
    assert [row["trained on"] for row in result.metrics] == [
        *["digits:0-4"] * 2,
        str(file),
    ]
    error = np.square(negative["test"] - model.reconstruct(negative["test"])).mean()
    np.testing.assert_allclose(other["ae of 0-4"], error, rtol=1e-5)
    assert error > 3 * native["ae of 0-4"]
    assert other[f"PCA k=16 of {file}"] is None
    assert native[f"PCA k=16 of {file}"] < 0.02


def test_models_of_everything_have_nowhere_to_go(small, digits):
    model = small("vae", latent_dim=32).model()
    with pytest.raises(config.InputError, match="--dataset digits:0-4"):
        transfer.apply([model], digits)


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
