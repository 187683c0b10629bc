"""generate: real digits, small, with its baselines."""

import numpy as np
import pytest

from aejax import config, tasks
from aejax.tasks import classifier
from tests.tasks import common


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(classifier, "classifier", common.quick)


@pytest.fixture(scope="module")
def zoo(small):
    axes = {"objective": ["ae", "vae"], "latent_dim": [8]}
    return small("ae", axes).models()


def by_system(result):
    return {row["system"]: row for row in result.metrics}


def test_generate_beats_the_gaussian(zoo, digits, drawn):
    result = tasks.TASKS["generate"].apply(zoo, digits, draws=1)
    got = by_system(result)
    assert list(got) == [
        "training images",
        "gaussian of pixels",
        "mixture of PCA k=8",
        "ae gaussian",
        "ae gmm",
        "vae prior",
        "vae gmm",
    ]
    assert {row["n"] for row in got.values()} == {250}
    best = got.pop("training images")
    assert best["copies"] == 1 and best["precision"] > 0.85 < best["recall"]
    assert got["ae gmm"]["frechet"] < 0.7 * got["gaussian of pixels"]["frechet"]
    assert max(row["copies"] for row in got.values()) < 0.3
    assert drawn(result)


def test_samples_meet_test_and_copies_train(zoo, digits):
    """A test split of zeros alone: what covers all classes is now imprecise."""
    apply = tasks.TASKS["generate"].apply
    nothing = digits.test._replace(x=0 * digits.test.x)
    black = digits._replace(test=nothing, valid=nothing)
    few, none = (
        by_system(apply(zoo[:1], d, draws=1, limit=100, densities=("gmm",)))
        for d in (digits, black)
    )
    for name, row in none.items():
        assert row["precision"] == 0 < few[name]["precision"]
        assert row["frechet"] > 5 * few[name]["frechet"]
    assert none["training images"]["copies"] == 1


def test_without_labels_features_are_pcas(zoo, digits):
    parts = {n: getattr(digits, n)._replace(y=None) for n in ("train", "valid", "test")}
    plain = digits._replace(**parts)
    result = tasks.TASKS["generate"].apply(zoo[:1], plain, draws=1, densities=("gmm",))
    assert "PCA (k=32" in result.text and "classifier" not in result.text
    got = {name: row["precision"] for name, row in by_system(result).items()}
    assert got["training images"] > got["gaussian of pixels"] + 0.2


def test_images_of_another_shape_are_refused(zoo, digits):
    wide = {
        n: part._replace(x=np.repeat(part.x, 2, 2))
        for n in ("train", "valid", "test")
        if (part := getattr(digits, n))
    }
    with pytest.raises(config.InputError, match=r"\(8, 8, 1\), those .* \(8, 16, 1\)"):
        tasks.TASKS["generate"].apply(zoo[:1], digits._replace(**wide), draws=1)
