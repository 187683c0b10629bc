"""Images made anew, from nothing and from words: generate and caption."""

import jax
import numpy as np
import pytest
import scipy.linalg

import aejax
from aejax import config, data, tasks
from aejax import model as model_lib
from aejax.data import captions
from aejax.tasks import judge

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Classifiers of fewer steps: tests compile without optimisation."""
    whole = judge.classifier
    monkeypatch.setattr(judge, "classifier", lambda x, y, steps=0: whole(x, y, 200))


# ---- generate


@pytest.fixture(scope="module")
def zoo(small):
    axes = {"objective": ["ae", "vae"], "latent_dim": [8]}
    return small("ae", axes).models()


def by_system(result):
    return {row["system"]: row for row in result.metrics}


def test_generate_has_baselines_and_beats_the_gaussian(zoo, digits, drawn):
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


def test_generate_measures_against_test_and_copies_against_train(zoo, digits):
    """A test split of zeros alone: what covers all classes is now imprecise."""
    apply = tasks.TASKS["generate"].apply
    nothing = digits.test._replace(x=0 * digits.test.x)
    black = digits._replace(test=nothing, valid=nothing)
    few, none = (
        by_system(apply(zoo[:1], d, draws=1, most=100, densities=("gmm",)))
        for d in (digits, black)
    )
    for name, row in none.items():
        assert row["precision"] == 0 < few[name]["precision"]
        assert row["frechet"] > 5 * few[name]["frechet"]
    assert none["training images"]["copies"] == 1


def test_generate_without_labels_says_what_its_features_are(zoo, digits):
    parts = {n: getattr(digits, n)._replace(y=None) for n in ("train", "valid", "test")}
    plain = digits._replace(**parts)
    result = tasks.TASKS["generate"].apply(zoo[:1], plain, draws=1, densities=("gmm",))
    assert "PCA (k=32" in result.text and "classifier" not in result.text
    got = {name: row["precision"] for name, row in by_system(result).items()}
    assert got["training images"] > got["gaussian of pixels"] + 0.2


def test_generate_refuses_images_of_another_shape(zoo, digits):
    wide = {
        n: part._replace(x=np.repeat(part.x, 2, 2))
        for n in ("train", "valid", "test")
        if (part := getattr(digits, n))
    }
    with pytest.raises(config.InputError, match=r"\(8, 8, 1\), those .* \(8, 16, 1\)"):
        tasks.TASKS["generate"].apply(zoo[:1], digits._replace(**wide), draws=1)


def test_frechet_is_the_distance_of_gaussians():
    a = RNG.normal(size=(400, 5)) @ RNG.normal(size=(5, 5))
    b = RNG.normal(size=(300, 5)) + 1.0
    s, t = np.cov(a.T), np.cov(b.T)
    cross = np.trace(scipy.linalg.sqrtm(s @ t)).real
    off = np.square(a.mean(0) - b.mean(0)).sum()
    want = off + np.trace(s) + np.trace(t) - 2 * cross
    np.testing.assert_allclose(judge.frechet(a, b), want, rtol=1e-6)
    np.testing.assert_allclose(judge.frechet(b, a), want, rtol=1e-6)
    np.testing.assert_allclose(judge.frechet(a, a + 2.0), 4 * 5, rtol=1e-6)
    degenerate = np.concatenate([a, a], 1)  # covariance of half the rank
    assert abs(judge.frechet(degenerate, degenerate)) < 1e-6 * np.trace(s)


def test_precision_and_recall_tell_quality_from_variety():
    real = RNG.normal(size=(300, 2)) + np.array([[8.0, 0.0]]) * RNG.integers(
        0, 2, (300, 1)
    )
    one_mode = RNG.normal(size=(300, 2))
    with_rubbish = np.concatenate([real[:150] + 0.01, RNG.normal(size=(150, 2)) + 50])
    precision, recall = judge.precision_recall(real, one_mode)
    assert precision > 0.9 and 0.35 < recall < 0.65
    precision, recall = judge.precision_recall(real, with_rubbish)
    assert precision == 0.5 and recall > 0.8
    assert judge.precision_recall(real, real) == (1, 1)


def test_nearest_is_exact():
    x, among = RNG.normal(size=(600, 3, 2)), RNG.normal(size=(70, 3, 2))
    among[5] = x[7]
    near, at = judge.nearest(x, among)
    every = np.linalg.norm((x[:, None] - among[None]).reshape(600, 70, -1), axis=2)
    np.testing.assert_array_equal(at, every.argmin(1))
    np.testing.assert_allclose(near, every.min(1))
    assert at[7] == 5 and near[7] == 0


def test_the_classifier_reads_several_factors_of_odd_images():
    """Which half is lit, and whether the other half is grey."""
    y = RNG.integers(0, 2, (400, 2))
    x = RNG.uniform(0, 0.2, (400, 7, 5, 1)).astype(np.float32)
    x[y[:, 0] == 0, :3] += 0.8
    x[y[:, 0] == 1, 4:] += 0.8
    x[y[:, 1] == 1, 3] += 0.4
    features, read = judge.classifier(x[:300], y[:300])(x[300:])
    assert features.shape == (100, judge.WIDTH) and read.shape == (100, 2)
    assert (read == y[300:]).mean(0).min() > 0.95


# ---- caption


SMALL = {"x_train": (96, 8, 8, 1), "x_valid": (16, 8, 8, 1), "x_test": (16, 8, 8, 1)}


def words(n):
    """Captions of one to four of six words."""
    y = RNG.integers(1, 7, (n, 4)).astype(np.int32)
    return np.where(np.arange(4)[None] < RNG.integers(1, 5, (n, 1)), y, 0)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    path = tmp_path_factory.mktemp("captions") / "told.npz"
    arrays = {n: RNG.random(s).astype(np.float32) for n, s in SMALL.items()}
    arrays |= {n.replace("x", "y"): words(len(x)) for n, x in arrays.items()}
    np.savez(path, **arrays)
    return str(path)


def test_captions_say_what_sprites_show_and_training_lacks_nine():
    d, y = data.load("sprites:captions"), {}
    for split in ("train", "valid", "test"):
        part = getattr(d, split)
        assert len(part.x) == len(part.y) and part.y.max() < d.num_classes
        y[split] = {tuple(row) for row in part.y}
    assert len(y["test"]) == 81 and len(y["test"] - y["train"]) == 9
    assert not (y["test"] - y["train"]) & y["valid"]
    factors, x = captions.factors(d.test.y), d.test.x[..., 0].astype(float)
    rows = (x.sum(2) @ np.arange(32)) / x.sum((1, 2))
    upper, lower = (rows[factors["row"] == i] for i in (0, 2))
    assert upper.max() < lower.min()
    mass = [x[factors["size"] == i].sum((1, 2)).mean() for i in range(3)]
    assert mass[0] < mass[1] < mass[2]


def test_words_and_ids_are_inverse_and_unknown_words_refused():
    y = captions.tokens(["A small heart, upper left!", "an ellipse lower right"])
    assert captions.texts(y) == ["a small heart upper left", "an ellipse lower right"]
    assert y[1, -1] == 0 and {n: v[0] for n, v in captions.factors(y).items()} == {
        "size": 0,
        "shape": 2,
        "row": 0,
        "column": 0,
        "digit": -1,
    }
    with pytest.raises(config.InputError, match="'hart' is unknown; did you mean 'hea"):
        captions.tokens(["a hart"])
    with pytest.raises(config.InputError, match="has no word"):
        captions.tokens(["a", "?"])


@pytest.mark.parametrize("y", [np.eye(3)[[0, 1, 2] * 9].astype(int), -words(27)])
def test_a_file_of_one_hot_or_negative_ids_has_no_captions(tmp_path, y):
    np.savez(tmp_path / "a.npz", x=np.zeros((27, 4), np.float32), y=y)
    with pytest.raises(config.InputError, match="must be captions"):
        data.load(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_captions_keep_padding_and_standalone_runs(told, network):
    """P1, P2; and words beyond a caption's end do not exist."""
    base = aejax.Config(
        dataset=told,
        objective="conditional_vae",
        network=network,
        hidden=(4, 16) if network == "conv" else (16,),
        activation="tanh",
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


def test_caption_draws_digits_by_name_and_reads_them_back(small, drawn):
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


def test_caption_refuses_data_and_models_without_captions(small, digits):
    task, models = tasks.TASKS["caption"], small("conditional_vae").models()
    with pytest.raises(config.InputError, match="sprites:captions, or digits:captions"):
        task.apply(models, digits)
    plain = small("ae", {"objective": ["ae", "vae"], "latent_dim": [8]}).models()
    with pytest.raises(config.InputError, match="reads no captions"):
        task.apply(plain[:1], data.load("digits:captions"))
