"""caption: digits drawn by their names; captions under P1 and P2."""

import jax
import numpy as np
import pytest

import aejax
from aejax import config, data, tasks
from aejax import model as model_lib
from aejax.tasks import classifier
from tests.tasks import common

RNG = np.random.default_rng(0)
SMALL = {"x_train": (96, 8, 8, 1), "x_valid": (16, 8, 8, 1), "x_test": (16, 8, 8, 1)}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(classifier, "classifier", common.quick)


def by_system(result):
    return {row["system"]: row for row in result.metrics}


def words(n):
    """Captions of one to four of six words."""
    y = RNG.integers(1, 7, (n, 4)).astype(np.int32)
    return np.where(np.arange(4)[None] < RNG.integers(1, 5, (n, 1)), y, 0)


@pytest.fixture(scope="module")
def caption_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("captions") / "told.npz"
    arrays = {n: RNG.random(s).astype(np.float32) for n, s in SMALL.items()}
    arrays |= {n.replace("x", "y"): words(len(x)) for n, x in arrays.items()}
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_captions_keep_padding_and_standalone_runs(caption_file, network):
    """P1, P2; and words beyond a caption's end do not exist."""
    base = aejax.Config(
        dataset=caption_file,
        objective="conditional_vae",
        network=network,
        hidden=(4, 16) if network == "conv" else (16,),
        activation="tanh",
        optimizer="sgd",  # AdamW of the GRU's parameters is a third of the program
        learning_rate=0.01,
        batch_size=16,
        epochs=5,
        eval_every=5,
        latent_dim=3,
    )
    wide, alone = aejax.sweep(base, {"latent_dim": [3, 6]}), aejax.sweep(base, {})
    model, x = wide.model(latent_dim=3), RNG.random((5, 8, 8, 1)).astype(np.float32)
    key, y = jax.random.key(0), words(5)
    np.testing.assert_allclose(
        model.reconstruct(x, y), alone.models()[0].reconstruct(x, y), atol=1e-4
    )
    first = model.sample(key, 5, y)
    longer = np.pad(y, ((0, 0), (0, 2)))
    np.testing.assert_allclose(model.sample(key, 5, longer), first, atol=1e-5)
    other = model.sample(key, 5, np.where(y, 7 - y, 0))
    assert np.abs(other - first).reshape(5, -1).max(1).min() > 1e-4
    model.params = jax.tree_util.tree_map_with_path(
        lambda path, a: a.at[3:].set(1e3) if model_lib.is_latent(path) else a,
        model.params,
    )
    np.testing.assert_array_equal(model.sample(key, 5, y), first)
    with pytest.raises(config.InputError, match="5 rows of ids of words"):
        model.sample(key, 5, y[:, 0])


def test_digits_are_drawn_by_name_and_read_back(small, drawn):
    d = data.load("digits:captions")
    model = small("conditional_vae", dataset="digits:captions").models()
    task = tasks.TASKS["caption"]
    result = task.apply(model, d, draws=5, text=("a three; an eight",))
    got = by_system(result)
    assert list(got) == [
        "real test images",
        "most similar caption",
        "conditional_vae",
        "chance",
    ]
    assert got["chance"]["digit"] == 0.1 and got["conditional_vae"]["digit"] > 0.8
    assert got["real test images"]["images"] == 250
    assert drawn(result)
    # Test captions are shuffled: what is real is then right by chance only.
    y = RNG.permutation(d.test.y)
    mixed = task.apply(model, d._replace(test=d.test._replace(y=y)), draws=5)
    assert by_system(mixed)["real test images"]["digit"] < 0.3


def test_without_captions_data_and_models_are_refused(small, digits):
    task = tasks.TASKS["caption"]
    models = small("conditional_vae", dataset="digits:captions").models()
    with pytest.raises(config.InputError, match="sprites:captions, or digits:captions"):
        task.apply(models, digits)
    plain = small("ae", hidden=(8,), epochs=1, eval_every=1).models()
    with pytest.raises(config.InputError, match="reads no captions"):
        task.apply(plain, data.load("digits:captions"))
