"""represent: probes and fine-tuned encoders, by labels."""

import jax
import numpy as np

from aejax import tasks
from aejax.evaluate import disentanglement
from aejax.tasks import represent

SIZES = {"latent_dim": [2, 8]}
PROBES = "linear probe", "nearest code"


def relabelled(data, y):
    return data._replace(test=data.test._replace(y=y.astype(np.int32)))


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


def test_fine_tuning_learns_from_its_labels_alone(small, digits):
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
    for seed, picks in enumerate(rows):
        frozen = disentanglement.probe_accuracy(
            z[picks], train.y[picks], z_test, test.y
        )
        assert more[seed] > max(few[seed], frozen + 0.1)
