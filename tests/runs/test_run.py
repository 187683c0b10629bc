"""The library as a paper uses it: rows, models, export; in memory and from disk."""

import csv
import json

import jax
import numpy as np
import pytest

import aejax
from aejax import data, losses

CONFIG = dict(hidden=(16,), batch_size=64, epochs=4, eval_every=2)
AXES = {"objective": ["ae", "vae"], "latent_dim": [2, 5], "seed": [0, 1]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    return aejax.sweep(aejax.Config(**CONFIG), AXES, out=out)


@pytest.fixture(scope="module")
def x():
    digits = data.load("digits")
    return digits.test.x[:70].astype(np.float32) / digits.scale


def test_the_directory_holds_what_the_design_says(run):
    names = {p.name for p in run.dir.iterdir()}
    assert {"run.json", "results.jsonl", "summary.csv", "checkpoints"} <= names
    info = json.loads((run.dir / "run.json").read_text())
    for name in ("configuration", "axes", "versions", "device", "members", "programs"):
        assert info[name]
    for name in ("compile_s", "train_s", "steps_per_s", "images_per_s"):
        assert info[name] > 0
    assert info["members"] == 8 and info["programs"] == 2 and info["finished"] is True


def test_rows_have_one_schema_and_no_clock_or_path(run):
    rows = [json.loads(s) for s in (run.dir / "results.jsonl").read_text().splitlines()]
    assert rows == run.rows
    # 8 members × (2 evaluations × train and valid, and test).
    assert len(rows) == 8 * (2 * 2 + 1)
    assert len({tuple(r) for r in rows}) == 1
    assert {r["kl"] is None for r in rows if r["objective"] == "ae"} == {True}
    assert str(run.dir.parent) not in (run.dir / "results.jsonl").read_text()
    ends = [(r["epoch"], r["step"]) for r in rows if r["split"] == "test"]
    assert set(ends) == {(4, 80)}


def test_the_summary_is_over_seeds_with_pca_beside_it(run):
    with open(run.dir / "summary.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 + 2
    assert {s["objective"] for s in lines} == {"ae", "vae", "pca"}
    assert "seed" not in lines[0]
    for s in run.summary[:4]:
        errors = [
            r["mse"]
            for r in run.rows
            if r["split"] == "test"
            and (r["objective"], r["latent_dim"]) == (s["objective"], s["latent_dim"])
        ]
        assert s["n_seeds"] == 2
        np.testing.assert_allclose(s["mse_mean"], np.mean(errors))
        # Student's t with one degree of freedom: 12.706 standard errors, of the log.
        half = 12.7062 * np.std(errors, ddof=1) / np.sqrt(2) / np.mean(errors)
        ratio = s["mse_high"] / s["mse_mean"]
        np.testing.assert_allclose(ratio, np.exp(half), rtol=1e-4)


def test_a_run_opened_from_disk_is_the_same(run, x):
    again = aejax.open_run(run.dir)
    assert again.rows == run.rows and again.config == run.config
    assert again.axes == run.axes
    assert [list(s.values()) for s in again.summary] == [
        pytest.approx(list(s.values()), nan_ok=True) for s in run.summary
    ]
    choice = dict(objective="vae", latent_dim=5, seed=1)
    a, b = run.model(**choice), again.model(**choice)
    np.testing.assert_array_equal(a.reconstruct(x), b.reconstruct(x))


def test_users_see_the_effective_code_only(run, x):
    """P1: Z is 5 in this population, and encode gives (N, 2)."""
    vae = run.model(objective="vae", latent_dim=2, seed=0)
    z = vae.encode(x)
    assert z.shape == (70, 2) and np.abs(z).max() > 0
    assert vae.decode(z).shape == x.shape
    np.testing.assert_array_equal(vae.decode(z), vae.reconstruct(x))
    with pytest.raises(aejax.InputError, match=r"\(N, 2\)"):
        vae.decode(np.zeros((3, 5)))
    with pytest.raises(aejax.InputError, match="shape"):
        vae.encode(x[..., 0])


def test_any_number_of_examples_gives_the_same_codes(run, x):
    ae = run.model(objective="ae", latent_dim=5, seed=0)
    whole = ae.encode(np.tile(x, (8, 1, 1, 1)))
    assert whole.shape == (560, 5)
    for n in (1, 3, 70):
        np.testing.assert_allclose(ae.encode(x[:n]), whole[:n], rtol=1e-5, atol=1e-5)
    assert ae.encode(x[:0]).shape == (0, 5)


def test_samples_come_from_the_prior(run):
    vae = run.model(objective="vae", latent_dim=5, seed=0)
    one = vae.sample(jax.random.key(0), 9)
    assert one.shape == (9, 8, 8, 1)
    assert ((one > 0) & (one < 1)).all()
    np.testing.assert_array_equal(one, vae.sample(jax.random.key(0), 9))
    assert np.abs(one - vae.sample(jax.random.key(1), 9)).max() > 1e-4


def test_a_deterministic_model_samples_a_density(run):
    ae = run.model(objective="ae", latent_dim=5, seed=0)
    key = jax.random.key(0)
    one = ae.sample(key, 9)
    np.testing.assert_array_equal(one, ae.sample(key, 9, density="gaussian"))
    assert (
        one.shape == (9, 8, 8, 1)
        and np.abs(one - ae.sample(key, 9, density="gmm")).max() > 0
    )
    codes, y = ae.training_codes()
    drawn = ae.encode(ae.sample(key, 4000))
    assert len(codes) == len(y) == len(run.dataset().train.x)
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.3 * codes.std())
    with pytest.raises(aejax.InputError, match="density 'kde' is unknown"):
        ae.sample(key, 1, density="kde")


def test_the_pure_functions_take_ones_own_gradient(run, x):
    """The loss of the paper, written with the library's own functions."""
    vae = run.model(objective="vae", latent_dim=2, seed=0)
    batch = aejax.Batch(x)
    objective = aejax.OBJECTIVES["vae"]
    key = jax.random.key(3)

    def by_hand(params):
        mu, logvar = vae.model.encode(params, batch)
        z = vae.model.sample(key, mu, logvar)
        logits = vae.model.decode(params, z)[..., 0]
        flat = (x.reshape(70, -1), logits.reshape(70, -1))
        kl = losses.gaussian_kl(mu, logvar)
        return (losses.bernoulli_nll(*flat) + kl).mean()

    def library(params):
        return objective.loss(vae.model, params, batch, key)[0]

    value, grads = jax.value_and_grad(by_hand)(vae.params)
    theirs, same = jax.value_and_grad(library)(vae.params)
    np.testing.assert_allclose(value, theirs, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(same), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"objective": "vae"}, "4 models.*latent_dim: 2, 5; seed: 0, 1"),
        (
            {"objective": "vae", "latent_dim": 3, "seed": 0},
            "no model.*latent_dim: 2, 5",
        ),
        ({"latent": 3}, "did you mean 'latent_dim'"),
    ],
)
def test_ambiguous_and_absent_models_are_said_to_be(run, choice, message):
    with pytest.raises(aejax.InputError, match=message):
        run.model(**choice)


def test_export_is_read_by_numpy_alone(run, tmp_path, x):
    choice = dict(objective="ae", latent_dim=2, seed=0)
    run.export(tmp_path / "out", **choice)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["latent_dim"] == 2 and config["objective"] == "ae"
    with np.load(tmp_path / "out" / "params.npz", allow_pickle=False) as file:
        p = {n.removeprefix("net/"): file[n] for n in file if "density/" not in n}
    sizes = sum(a.size for a in p.values())
    (line,) = [
        s for s in run.summary if s["objective"] == "ae" and s["latent_dim"] == 2
    ]
    assert sizes == line["parameters"]
    # The encoder by hand: a paper's appendix could do it.
    h = x.reshape(70, -1) @ p["encoder_0/kernel"] + p["encoder_0/bias"]
    kernel = p["code/latent_kernel"]  # (k, heads, H)
    z = np.maximum(h, 0) @ kernel[:, 0].T + p["code/latent_bias"][:, 0]
    np.testing.assert_allclose(z, run.model(**choice).encode(x), rtol=1e-4, atol=1e-5)


def test_an_objective_from_a_file_outside(tmp_path):
    path = tmp_path / "twice.py"
    path.write_text(
        '"""Twice the autoencoder. Nobody, 2026."""\n'
        "heads = 1\n"
        'ranges = {"weight": (0.0, 10.0)}\n'
        "def loss(model, params, batch, key, *, weight=2.0):\n"
        "    z = model.encode(params, batch)\n"
        "    nll = model.likelihood.nll(batch, model.decode(params, z, batch))\n"
        '    return weight * nll.mean(), {"nll": nll.mean()}\n'
    )
    config = aejax.Config(objective=str(path), **CONFIG)
    run = aejax.sweep(config, {"weight": [1.0, 3.0], "latent_dim": [2]})
    assert run.info["programs"] == 1
    for row in run.rows:
        assert row["objective"] == "twice.py"
        np.testing.assert_allclose(row["loss"], row["weight"] * row["nll"], rtol=1e-5)
    with pytest.raises(aejax.InputError, match=r"weight is 11.*\[0, 10\]"):
        aejax.sweep(config, {"weight": [11.0]})


def test_an_axis_of_one_objective_is_null_elsewhere(tmp_path):
    path = tmp_path / "weighted.py"
    path.write_text(
        '"""Weighted. Nobody, 2026."""\n'
        "from aejax.objectives import vae\n"
        "def loss(model, params, batch, key, *, beta=1.0):\n"
        "    total, parts = vae.loss(model, params, batch, key)\n"
        '    return total + (beta - 1) * parts["kl"], parts\n'
    )
    config = aejax.Config(**CONFIG)
    axes = {"objective": ["vae", str(path)], "beta": [1.0, 4.0], "seed": [0]}
    run = aejax.sweep(config, axes)
    assert run.info["members"] == 3  # one vae, two betas
    tests = [r for r in run.rows if r["split"] == "test"]
    assert [r["beta"] for r in tests] == [None, 1.0, 4.0]
    np.testing.assert_allclose(tests[0]["loss"], tests[1]["loss"], rtol=1e-5)
    assert tests[2]["kl"] < tests[1]["kl"]
