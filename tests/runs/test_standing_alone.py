"""A run opens by itself, without planner and data, if it is as it was written."""

import json
import zlib

import numpy as np
import pytest

import aejax
from aejax import data
from aejax.runs import checkpoint, dispatch, plan, writer
from tests.runs.common import AXES, sweep

CHOICE = {"objective": "vae", "latent_dim": 2, "seed": 1}


@pytest.fixture
def alone(monkeypatch):
    """Neither plans nor data from here on."""

    def fail(*args, **more):
        raise AssertionError("a run needs neither planner nor data")

    for name in ("plan", "resolve", "bands"):
        monkeypatch.setattr(plan, name, fail)
    monkeypatch.setattr(data, "load", fail)


def in_units(split, scale, rows=9):
    return split.x[:rows].astype(np.float32) / np.float32(scale)


def test_models_need_neither_planner_nor_data(whole, digits, alone):
    opened = aejax.open_run(whole.dir)
    assert opened.rows == whole.rows and opened.problems == []
    assert len(opened.models()) == 8 and len(opened.best()) == 2
    x = in_units(digits.test, digits.scale)
    ours, theirs = opened.model(**CHOICE), whole.model(**CHOICE)
    z = ours.encode(x)
    assert z.shape == (9, 2)
    np.testing.assert_array_equal(z, theirs.encode(x))
    np.testing.assert_array_equal(ours.decode(z), theirs.decode(z))
    with pytest.raises(AssertionError, match="neither planner nor data"):
        opened.dataset()  # the only one that asks for it


def test_models_outlive_their_data_file(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 5), np.float32), np.array(["cat", "dog", "owl"] * 20)
    np.savez(path := tmp_path / "mine.npz", x=x, y=y)
    config = aejax.Config(
        dataset=path, objective="conditional_vae", hidden=(8,), batch_size=8, epochs=1
    )
    run = aejax.sweep(config, {"latent_dim": [2, 3]}, out=tmp_path / "run")
    before = run.model(latent_dim=2)
    z = before.encode(x, y)
    path.unlink()
    after = aejax.open_run(tmp_path / "run").model(latent_dim=2)
    np.testing.assert_array_equal(after.encode(x, y), z)
    np.testing.assert_array_equal(after.decode(z, y), before.decode(z, y))
    assert after.export(tmp_path / "out").is_dir()
    with pytest.raises(aejax.InputError, match="there is no file"):
        aejax.open_run(tmp_path / "run").dataset()


def as_written_by_0_1(dir):
    """run.json without a plan, and rows that count lanes."""
    info = json.loads((dir / "run.json").read_text())
    info = {n: v for n, v in info.items() if not n.startswith("plan")}
    info |= {"lanes": info.pop("members")}
    rows = (dir / "results.jsonl").read_text().replace('"member": ', '"lane": ')
    crc32 = zlib.crc32(rows.encode())  # it was whole
    info |= {"sealed": [[0, 8, rows.count("\n"), crc32]]}
    (dir / "results.jsonl").write_text(rows)
    (dir / "run.json").write_text(json.dumps(info))


def test_a_run_of_aejax_0_1_is_refused(copy):
    as_written_by_0_1(copy)
    before = {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    message = "was made by aejax 0.1, .* open it with that version, or train it again"
    for use in (lambda: aejax.open_run(copy), lambda: sweep(copy, resume=True)):
        with pytest.raises(aejax.InputError, match=message) as caught:
            use()
        text = str(caught.value)
        assert "\n" not in text and len(text) < 400 and "--out" in text
    assert {p: p.read_bytes() for p in copy.rglob("*") if p.is_file()} == before


CHANGES = {
    "members exchanged": lambda entry: entry["members"]["seed"].reverse(),
    "another size": lambda entry: entry["members"]["latent_dim"].insert(0, 3),
    "another scale": lambda entry: entry["data"].update(scale=255.0),
    "nothing": lambda entry: entry.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_plan_is_noticed(copy, whole, change):
    info = json.loads((copy / "run.json").read_text())
    CHANGES[change](info["plan"][0])
    (copy / "run.json").write_text(json.dumps(info))
    with pytest.warns(UserWarning, match="plan in .* is damaged, .*--resume"):
        opened = aejax.open_run(copy)
    assert opened.rows == whole.rows  # which are whole, and ask for no plan
    for use in (opened.models, opened.dataset):
        with pytest.raises(aejax.InputError, match="plan in .* is damaged, .*--resume"):
            use()
    sweep(copy, resume=True)
    models = aejax.open_run(copy).models()
    assert [m.config for m in models] == [m.config for m in whole.models()]


def test_a_plan_keeps_how_a_run_was_cut(whole, monkeypatch):
    """A later planner may cut otherwise."""
    one_each = lambda members, *more: [[member] for member in members]  # noqa: E731
    monkeypatch.setattr(plan, "bands", one_each)
    assert len(plan.plan(whole.config, AXES).populations) == 8
    assert len(aejax.open_run(whole.dir).populations) == 2


def test_its_data_set_suits_every_network(tmp_path):
    """Series (N, T), which recurrent takes as sequences of one feature."""
    x = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    config = aejax.Config(
        dataset=str(tmp_path / "x.npz"),
        latent_dim=2,
        hidden=(4,),
        batch_size=16,
        epochs=1,
        eval_every=1,
    )
    run = aejax.sweep(config, {"network": ["recurrent", "mlp"]}, devices=1)
    test = run.dataset().test.x
    assert test.shape == (6, 12)
    for network in ("mlp", "recurrent"):
        assert run.model(network=network).encode(test).shape == (6, 2)


def test_a_changed_objective_file_is_said(tmp_path):
    path = tmp_path / "mine.py"
    text = (
        '"""Mine. Nobody, 2026."""\nfrom aejax.objectives import ae\nheads = 1\n'
        "def loss(model, params, batch, key):\n"
        "    return ae.loss(model, params, batch, key)\n"
    )
    path.write_text(text)
    config = aejax.Config(
        objective=str(path), hidden=(8,), latent_dim=2, epochs=1, eval_every=1
    )
    run = aejax.sweep(config, out=tmp_path / "run", devices=1)
    assert aejax.open_run(run.dir).problems == []
    path.write_text(text.replace("key):", "key, *, scale=1.0):"))
    with pytest.warns(UserWarning, match="is not the file"):
        opened = aejax.open_run(run.dir)
    # What an objective has got since has its default: the models are read all the same.
    assert opened.model().encode(run.dataset().test.x[:3] / 16).shape == (3, 2)
    path.unlink()
    assert run.model().latent_dim == 2  # what sweep returns has it at hand


def test_a_stop_when_a_save_is_due_saves_once(tmp_path, monkeypatch):
    saves = []
    real = checkpoint.Store.save

    def save(self, step, state, **facts):
        saves.append(step)
        real(self, step, state, **facts)

    monkeypatch.setattr(checkpoint.Store, "save", save)
    monkeypatch.setattr(writer, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(dispatch, "SECONDS", 1e-6)
    answers = iter([False] * 3 + [True] * 99)
    config = aejax.Config(hidden=(8,), latent_dim=2, epochs=8, eval_every=2)
    run = aejax.sweep(
        config, out=tmp_path / "run", devices=1, should_stop=lambda: next(answers)
    )
    assert not run.info["finished"]
    assert saves and len(saves) == len(set(saves))
