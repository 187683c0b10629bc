"""disentangle: factors that are known, codes that show them, and rows that fit."""

import functools

import numpy as np
import pytest
from sklearn import ensemble

from aejax import config, data, tasks
from aejax.evaluate import disentanglement
from aejax.tasks import disentangle
from experiments import apply

SIZES = (3, 4, 5)
NAMES = ("colour", "place", "size")
TASK = tasks.TASKS["disentangle"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Forests of fewer trees; tests/evaluate/test_disentanglement.py has the whole."""
    forest, boosted = ensemble.RandomForestClassifier, "GradientBoostingClassifier"
    trees = lambda n, **more: forest(n // 5, **more | {"n_jobs": 1})  # noqa: E731
    monkeypatch.setattr(ensemble, "RandomForestClassifier", trees)
    few = functools.partial(getattr(ensemble, boosted), n_estimators=20)
    monkeypatch.setattr(ensemble, boosted, few)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A user's file: 12 numbers, one of three, of four and of five of them is 1.

    Test has every combination as often, so that factors say nothing of each other.
    """
    rng, arrays = np.random.default_rng(0), {"factor_names": NAMES}
    grid = np.array(list(np.ndindex(SIZES)))
    for split, times in (("train", 25), ("valid", 2), ("test", 4)):
        v = rng.permutation(np.tile(grid, (times, 1)))
        x = [np.eye(n)[i] for n, i in zip(SIZES, v.T, strict=True)]
        arrays[f"x_{split}"] = np.concatenate(x, 1, dtype=np.float32)
        arrays[f"factors_{split}"] = v
    path = tmp_path_factory.mktemp("factors") / "blocks.npz"
    np.savez(path, **arrays)
    return data.load(str(path))


@pytest.fixture
def models(small, blocks):
    fields = {"latent_dim": 3, "hidden": (16,), "epochs": 10, "eval_every": 10}
    return small("ae", {"seed": [0, 1]}, dataset=blocks.name, **fields).models()


def read(x, *_):
    """The factors (N, 3) of x."""
    ends = np.split(np.arange(12), np.cumsum(SIZES)[:-1])
    return np.stack([x[:, columns].argmax(1) for columns in ends], 1).astype(float)


def rows(result):
    return {row["system"]: row for row in result.metrics}


def test_scores_of_trained_models_are_of_test_rows(models, blocks, forgetful, drawn):
    result = TASK.apply(models, blocks, boosted=90)
    got, v = rows(result), blocks.factors["test"]
    assert list(got) == [
        *("ae seed=0", "ae seed=1", "PCA k=3", "PCA k=3, shuffled", "the factors")
    ]
    for name, model in zip(got, models, strict=False):
        z = model.encode(blocks.test.x)
        assert got[name]["mig"] == disentanglement.mig(z, v)
        assert got[name]["sap (lib)"] == disentanglement.sap_svm(z, v)
        assert got[name]["active units"] == 3
        names = ("D", "C", "I")
        assert tuple(got[name][n] for n in names) == disentanglement.dci(z, v)
    best = max(list(got)[:2], key=lambda name: got[name]["mig"])
    boosted = {name for name, row in got.items() if "D (lib)" in row}
    assert boosted == {best, "PCA k=3", "the factors"}
    z = models[int(best[-1])].encode(blocks.test.x)
    lib = tuple(got[best][f"{n} (lib)"] for n in "DCI")
    assert lib == disentanglement.dci_boosted(z, v, 90)
    for name, score in got["PCA k=3, shuffled"].items():
        assert name in ("system", "active units") or score < 0.45
    again = rows(TASK.apply(models, forgetful(blocks), boosted=0))
    for name, row in got.items():  # PCA learns from training data, and nothing else
        scored = {n: v for n, v in row.items() if n[1:] != " (lib)"}
        assert (again[name] == scored) != name.startswith("PCA")
    assert drawn(result)


def test_codes_that_are_the_factors_are_perfect(models, blocks, monkeypatch):
    """What is encoded is read off x, so factors of other rows would not fit."""
    for model in models:
        monkeypatch.setattr(model, "encode", read)
    got = rows(TASK.apply(models, blocks, boosted=0))
    for name in ("ae seed=0", "ae seed=1", "the factors"):
        row = dict(got[name])
        assert row.pop("system") and row.pop("active units") == 3
        assert 0.2 < row.pop("sap (lib)") < 0.8, "its classifier is linear"
        assert row == pytest.approx(dict.fromkeys(row, 1), abs=1e-6)
    test = np.random.default_rng(1).permutation(blocks.factors["test"])
    other = blocks._replace(factors={**blocks.factors, "test": test})
    assert rows(TASK.apply(models, other, boosted=0))["ae seed=0"]["mig"] < 0.1


def test_pictures_say_which_latent_knows_which_factor(models, blocks, monkeypatch):
    monkeypatch.setattr(models[0], "encode", lambda x, *_: read(x)[:, ::-1])
    result = TASK.apply(models, blocks, boosted=0)
    (grid,) = [p for p in result.panels if p.title == "ae seed=0: % known"]
    z = models[0].encode(blocks.test.x)
    known = disentanglement.information(z, blocks.factors["test"])
    assert (list(grid.columns), grid.rows) == (list(NAMES), ["z2", "z1", "z0"])
    for name, values in zip(grid.rows, grid.values, strict=True):
        np.testing.assert_allclose(values, 100 * known[int(name[1])])
    np.testing.assert_allclose(grid.values, 100 * np.eye(3), atol=1e-6)
    (bars,) = [p.bars for p in result.panels if p.title == "MIG"]
    got = [rows(result)[f"ae seed={s}"]["mig"] for s in (0, 1)]
    assert bars["ae"] == pytest.approx((np.mean(got), min(got), max(got)))


def test_data_without_factors_are_refused_at_once(
    models, digits, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    assert apply.main(["disentangle", "--dataset", "digits"]) == 2
    said = capsys.readouterr().err
    assert "'digits' were drawn" in said and "factors (N, F)" in said
    assert not list(tmp_path.iterdir())
    with pytest.raises(config.InputError, match="sprites_5000"):
        TASK.apply(models, digits)


def test_the_models_of_a_sweep_suit_the_data(blocks):
    assert data.load(TASK.dataset).factor_names and TASK.all_models
    (sweep,) = disentangle.sweeps(blocks)
    assert sweep.values["hidden"] == (128, 64)
    (sweep,) = disentangle.sweeps(data.load("sprites_5000"))
    assert sweep.values["hidden"] == (256,) and sweep.values["beta"] > 1
