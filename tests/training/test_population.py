"""Devices, batches, chunks and neighbours leave a member's numbers alone."""

import collections

import jax
import numpy as np
import pytest

import aejax
from aejax import data
from aejax.runs import dispatch, plan, sources
from aejax.training import program, stream

TINY = dict(hidden=(16,), batch_size=64, epochs=4, eval_every=2)
AXES = {"latent_dim": [2, 5, 16], "seed": [0, 1]}
# Where the bits of two programs are compared.
bits = pytest.mark.usefixtures("users_generator")


@pytest.fixture(scope="module")
def reference(as_for_users):
    config = aejax.Config(objective="vae", **TINY)
    with as_for_users():
        return aejax.sweep(config, AXES, devices=jax.devices()[:1], vmap=1)


def numbers(run, **choice):
    """(rows, 3) of loss, nll and mse, for rows with these values."""
    rows = [r for r in run.rows if all(r[n] == v for n, v in choice.items())]
    assert rows
    return np.array([[r[n] for n in ("loss", "nll", "mse")] for r in rows])


@bits
def test_any_number_of_devices_gives_the_same_bits(reference):
    """Six members on four; two and four: tests/runs/test_resume.py."""
    config = aejax.Config(objective="vae", **TINY)
    run = aejax.sweep(config, AXES, devices=jax.devices()[:4], vmap=1)
    assert run.rows == reference.rows


def test_vmapped_batches_agree(reference):
    """To 1e-4 over 50 steps: a batched product may round in another order.

    Six in batches of four, of which the second is filled up.
    """
    config = aejax.Config(objective="vae", **TINY)
    run = aejax.sweep(config, AXES, devices=jax.devices()[:1], vmap=4)
    np.testing.assert_allclose(numbers(run), numbers(reference), rtol=1e-4)


@bits
def test_cutting_into_dispatches_changes_nothing(reference, monkeypatch):
    monkeypatch.setattr(dispatch, "SECONDS", 1e-6)
    events = []
    config = aejax.Config(objective="vae", **TINY)
    run = aejax.sweep(config, AXES, devices=jax.devices()[:4], on_event=events.append)
    assert run.rows == reference.rows
    assert len([e for e in events if e["kind"] == "train"]) == 4


@bits
def test_place_and_neighbours_change_nothing(reference):
    axes = {"seed": [1, 0], "latent_dim": [16, 2, 3]}
    run = aejax.sweep(aejax.Config(objective="vae", **TINY), axes)
    for k in (16, 2):
        for seed in axes["seed"]:
            values = numbers(run, latent_dim=k, seed=seed)
            theirs = numbers(reference, latent_dim=k, seed=seed)
            np.testing.assert_array_equal(values, theirs)


def test_one_program_per_population_compiles(compiles):
    config = aejax.Config(**TINY)
    axes = {"objective": ["ae", "vae"], "latent_dim": [1, 3], "learning_rate": [0.1, 1]}
    planned = plan.plan(config, axes)
    before = len(compiles)
    run = aejax.sweep(config, axes, planned=planned)
    assert run.info["programs"] == 2 and run.info["members"] == 8
    assert len(compiles) - before == 2


def test_a_second_call_does_not_compile(compiles):
    planned = plan.plan(aejax.Config(**TINY), {"latent_dim": [1, 2]})
    (population,) = planned.populations
    one = program.Program(population, jax.devices()[:1])
    one.place()
    data_on = stream.Stream(one, planned.sources.source(population.spec))(0)
    before = len(compiles)
    for start, stop, phase in ((-1, 20, 0), (20, 40, 1), (40, 40, 2)):
        metrics, diverged = one.advance(data_on, start, stop, phase, range(one.batches))
    assert len(compiles) == before
    assert metrics.keys() == population.metrics.keys() and not diverged.any()
    assert all(m.shape == (2, 3) for m in metrics.values())


def test_transfers_do_not_grow_with_the_sweep(compiles, monkeypatch):
    """P3, P5: programs, dispatches and transfers, by evaluation and not by step."""
    monkeypatch.setattr(dispatch, "SECONDS", 1e6)  # none is cut for being long
    calls = collections.Counter()
    for name in ("advance", "put", "place", "host_state"):
        real = getattr(program.Program, name)

        def counted(self, *args, name=name, real=real):
            calls[name] += 1
            return real(self, *args)

        monkeypatch.setattr(program.Program, name, counted)

    def count(members, epochs, interval):
        calls.clear()
        before = len(compiles)
        config = aejax.Config(**TINY | {"epochs": epochs, "eval_every": interval})
        axes = {"seed": list(range(members))}
        aejax.sweep(config, axes, devices=jax.devices()[:2])
        return calls | {"programs": len(compiles) - before}

    few = count(4, 4, 2)
    # The first stretch is short and in two parts, to learn its pace; the test split.
    assert few == {"programs": 1, "advance": 5, "put": 2, "place": 1, "host_state": 1}
    assert count(16, 8, 4) == few
    assert count(4, 8, 2)["advance"] == few["advance"] + 2


@bits
def test_a_diverging_member_freezes_alone(reference):
    """P8."""
    axes = {"latent_dim": [2, 5, 16], "seed": [0], "learning_rate": [3e-3, 1e6]}
    run = aejax.sweep(aejax.Config(objective="vae", **TINY), axes, vmap=1)
    for k in axes["latent_dim"]:
        healthy = numbers(run, latent_dim=k, learning_rate=3e-3)
        theirs = numbers(reference, latent_dim=k, seed=0)
        np.testing.assert_array_equal(healthy, theirs)
    lost = [r for r in run.rows if r["learning_rate"] == 1e6]
    assert all(r["diverged"] for r in lost)
    assert all(r[n] is None for r in lost for n in ("loss", "nll", "mse", "psnr"))
    model = run.model(latent_dim=2, learning_rate=1e6)
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(model.params))
    counted = [s for s in run.summary if s["learning_rate"] == 1e6]
    assert [s["n_seeds"] for s in counted] == [0, 0, 0]


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_latent_sizes_equal_their_own_runs(request, network):
    """P2 end to end: masked members against runs whose Z is their latent_dim."""
    hidden = {"mlp": (16,), "conv": (4, 16)}[network]
    config = aejax.Config(objective="vae", network=network, **TINY | {"hidden": hidden})
    if network == "mlp":
        together = request.getfixturevalue("reference")
    else:
        together = aejax.sweep(config, AXES)
    alone = aejax.sweep(config.replace(latent_dim=5))
    values = numbers(together, latent_dim=5, seed=0)
    np.testing.assert_allclose(values, numbers(alone), rtol=1e-4)
    of_five = [s for s in together.summary if s["latent_dim"] == 5]
    for a, b in zip(of_five, alone.summary, strict=True):
        assert a["parameters"] == b["parameters"]
    # By hand: the mlp 64-16-5-16-64 with two heads.
    if network == "mlp":
        by_hand = 65 * 16 + 2 * 17 * 5 + 6 * 16 + 17 * 64
        assert alone.summary[0]["parameters"] == by_hand


def test_programs_per_latent_size_agree(reference, monkeypatch):
    monkeypatch.setattr(plan, "PROGRAM", -1e12)  # each one pays
    axes = AXES | {"latent_dim": [2, 16]}
    run = aejax.sweep(aejax.Config(objective="vae", **TINY), axes)
    assert run.info["programs"] == 2
    for k in axes["latent_dim"]:
        values, theirs = (numbers(r, latent_dim=k) for r in (run, reference))
        np.testing.assert_allclose(values, theirs, rtol=1e-4)
    x = np.zeros((2, 8, 8, 1), np.float32)
    assert run.model(latent_dim=2, seed=1).encode(x).shape == (2, 2)


def test_rows_are_exact_means_over_the_splits():
    """Mistake 5 of others: a mean of batch means, or of the first batch alone."""
    config = aejax.Config(**TINY)
    run = aejax.sweep(config, {"latent_dim": [4]})
    model, digits = run.model(), data.load("digits")
    x = digits.test.x.astype(np.float32) / digits.scale
    mse = np.square(x - model.reconstruct(x)).mean()
    (row,) = [r for r in run.rows if r["split"] == "test"]
    np.testing.assert_allclose(row["mse"], mse, rtol=1e-5)
    np.testing.assert_allclose(row["psnr"], -10 * np.log10(mse), rtol=1e-5)
    p = model.reconstruct(x).astype(np.float64)
    nll = -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum((1, 2, 3)).mean()
    np.testing.assert_allclose([row["nll"], row["loss"]], nll, rtol=1e-5)


@bits
def test_blocks_stream_through_the_same_program(compiles):
    """Data above the limit: every block is seen, and devices agree bit for bit."""
    config = aejax.Config(**TINY | {"eval_every": 1, "batch_size": 32})
    axes = {"latent_dim": [2, 8]}
    seen = []
    planned = plan.plan(config, axes, sources.Sources(40_000))
    source = planned.sources.source(planned.populations[0].spec)
    blocks, x = source.spec.blocks, source.dataset.train.x
    assert blocks > 2
    whole = np.concatenate([source.block(n).x for n in range(blocks)])  # one epoch
    assert 0 <= len(x) - len(whole) < blocks
    np.testing.assert_array_equal(whole, x[: len(whole)])
    before = len(compiles)
    run = aejax.sweep(
        config, axes, planned=planned, on_rows=seen.extend, devices=jax.devices()[:2]
    )
    assert len(compiles) - before == 1
    assert seen == run.rows
    again = aejax.sweep(config, axes, resident_bytes=40_000, devices=jax.devices()[:1])
    assert again.rows == run.rows
    losses = [r["loss"] for r in run.rows if r["split"] == "valid" and r["member"] == 1]
    assert losses[-1] < losses[0]


def test_best_keeps_the_best_parameters():
    """A rate so high that the loss goes up and down again."""
    config = aejax.Config(
        **TINY | {"epochs": 12, "eval_every": 1}, select="best", learning_rate=0.3
    )
    run = aejax.sweep(config, {"seed": [0, 1, 2]})
    digits = data.load("digits")
    x = digits.valid.x.astype(np.float32) / digits.scale
    last_is_best = []
    for seed in range(3):
        valid = [r for r in run.rows if r["seed"] == seed and r["split"] == "valid"]
        best = min(valid, key=lambda r: r["loss"])
        last_is_best.append(best is valid[-1])
        mse = np.square(x - run.model(seed=seed).reconstruct(x)).mean()
        np.testing.assert_allclose(mse, best["mse"], rtol=1e-5)
    assert not all(last_is_best)


@pytest.mark.parametrize("binarize", ["threshold", "dynamic"])
def test_binarised_data_are_zeros_and_ones(binarize):
    config = aejax.Config(binarize=binarize, **TINY)
    run = aejax.sweep(config, {"latent_dim": [2]})
    evaluated = run.sources.source(run.populations[0].spec).evaluated.x
    assert set(np.unique(evaluated)) == {0, 1}
    (pca,) = [s for s in run.summary if s["objective"] == "pca"]
    assert pca["mse_mean"] > 0.05  # of grey digits it is 0.053, of binary ones more
    again = aejax.sweep(config, {"latent_dim": [2]})
    assert again.rows == run.rows


def test_a_member_lost_in_its_last_step_is_marked():
    """P8: one huge step of gradient descent; mse overflows, and nothing raises."""
    config = aejax.Config(
        likelihood="gaussian", optimizer="sgd", beta1=0.0, epochs=1, hidden=(16,)
    )
    config = config.replace(batch_size=1297, eval_every=1)
    run = aejax.sweep(config, {"learning_rate": [1e-4, 1e10, 1e13]})
    lost = {r["learning_rate"]: r["diverged"] for r in run.rows}
    assert lost == {1e-4: False, 1e10: True, 1e13: True}


@pytest.mark.any_jax
def test_names_that_would_mix_results_are_refused(tmp_path):
    text = (
        '"""Mine. Nobody, 2026."""\nfrom aejax.objectives import ae\nheads = 1\n'
        "def loss(model, params, batch, key):\n"
        "    total, parts = ae.loss(model, params, batch, key)\n"
        '    return total, parts | {"step": total}\n'
    )
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").write_text(text)
        paths.append(str(tmp_path / folder / "x.py"))
    with pytest.raises(aejax.InputError, match="same name"):
        aejax.sweep(aejax.Config(**TINY), {"objective": paths})
    with pytest.raises(aejax.InputError, match="metric named step"):
        aejax.sweep(aejax.Config(objective=paths[0], **TINY))
    with pytest.raises(aejax.InputError, match="latent_dim"):
        aejax.sweep(aejax.Config(hparams={"latent_dim": 3}, **TINY))
