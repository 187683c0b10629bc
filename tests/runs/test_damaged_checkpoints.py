"""Checkpoints that were damaged, moved or never saved: --resume mends the run."""

import json
import os
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

import aejax
from aejax import report
from aejax.runs import checkpoint
from tests.runs.common import assert_same, newest, sweep


def test_pipes_in_a_checkpoint_are_not_waited_for(tmp_path):
    said, state = [], {"w": np.arange(3.0)}
    store = checkpoint.Store(tmp_path / "population", said.append)
    store.save(1, state, final=False)
    path = tmp_path / "population" / "1" / "state" / "manifest.ocdbt"
    path.unlink()
    os.mkfifo(path)
    assert store.restore(lambda meta: state) == (None, {})
    assert "manifest.ocdbt is no file" in said[0]
    store.close()


def test_pipes_that_orbax_reads_first_are_refused(copy):
    """It reads a file of every checkpoint, of those that are not used too."""
    steps = newest(copy, 1).parent.iterdir()
    oldest = min((p for p in steps if p.name.isdigit()), key=lambda p: int(p.name))
    path = oldest / "_CHECKPOINT_METADATA"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(aejax.InputError, match="METADATA' is no file; remove it"):
        aejax.open_run(copy).models()
    with pytest.raises(aejax.InputError, match="METADATA' is no file; remove it"):
        sweep(copy, resume=True)
    path.unlink()
    assert len(aejax.open_run(copy).models()) == 8


def test_a_lost_checkpoint_is_trained_again_in_place(copy, whole):
    shutil.rmtree(checkpoint.folder(copy, 0))
    assert_same(sweep(copy, resume=True), whole)


def test_a_model_of_an_earlier_checkpoint_says_so(copy, whole):
    # A flipped bit is found by our checksum, or by what reads the file: by chance.
    state = newest(copy, 1) / "state"
    with ocp.StandardCheckpointer() as saver:
        arrays = saver.restore(state)
        saver.save(state, jax.tree.map(lambda a: a + 1, arrays), force=True)
    opened = aejax.open_run(copy)
    assert opened.problems == []  # no checkpoint was looked at yet
    with pytest.warns(UserWarning) as caught:
        model = opened.model(objective="vae", latent_dim=5, seed=1)
    texts = [str(w.message) for w in caught]
    assert "cannot be used (its arrays are not those" in texts[0]
    assert f"that of step {model.step} is used" in texts[0]
    assert f"are of step {model.step} of {model.steps}" in texts[1]
    assert model.step < model.steps
    assert opened.problems == texts
    whole_one = whole.model(objective="vae", latent_dim=5, seed=1)
    assert (whole_one.step, whole_one.steps) == (model.steps, model.steps)
    with pytest.warns(UserWarning):
        page = report.write([aejax.open_run(copy)]).read_text()
    assert f"are of step {model.step} of" in page
    assert_same(sweep(copy, resume=True), whole)


def facts_of(folder):
    """The file beside the arrays of a checkpoint."""
    (path,) = (p for p in folder.rglob("metadata") if "meta" in str(p.parent))
    return path


@pytest.mark.parametrize("population, step", [(0, -10), (1, 1000)])
def test_the_facts_beside_a_checkpoint_are_protected(copy, whole, population, step):
    path = facts_of(newest(copy, population))
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"step": facts["step"] + step}))
    said = []
    run = sweep(copy, resume=True, on_event=said.append)
    assert any("its facts are not those" in e.get("text", "") for e in said)
    assert_same(run, whole)


def test_an_empty_store_restores_nothing(tmp_path):
    store = checkpoint.Store(tmp_path / "population", print)
    assert store.restore(lambda meta: None) == (None, {})
    store.close()


def test_a_run_killed_before_its_first_save_goes_on(tmp_path, whole):
    """Its populations have folders already, and rows that nothing commits."""

    def fail(event):
        if event["kind"] == "train" and event["step"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "run", on_event=fail)
    assert list(checkpoint.folder(tmp_path / "run", 0).iterdir()) == []
    with pytest.raises(aejax.InputError, match="no checkpoint that can be used"):
        aejax.open_run(tmp_path / "run").models()
    assert_same(sweep(tmp_path / "run", resume=True), whole)


def test_a_checkpoint_of_another_step_is_not_taken(tmp_path):
    said, state = [], {"w": np.arange(3.0)}
    store = checkpoint.Store(tmp_path / "population", said.append)
    store.save(1, state, final=False, rows=[0, 0])
    store.close()
    (tmp_path / "population" / "1").rename(tmp_path / "population" / "7")
    store = checkpoint.Store(tmp_path / "population", said.append)
    assert store.restore(lambda meta: state) == (None, {})
    assert "there is none before it" in said[0]
    store.close()


def test_folders_without_a_checkpoint_go_on(tmp_path, whole):
    """Its folder is there, and nothing in it."""
    store = checkpoint.Store(tmp_path / "population", print)
    assert store.restore(lambda meta: {}) == (None, {})
    store.close()
    out = tmp_path / "run"
    shutil.copytree(whole.dir, out)
    for step in checkpoint.folder(out, 1).iterdir():
        shutil.rmtree(step)
    assert_same(sweep(out, resume=True), whole)


def test_checkpoints_of_before_the_seal_are_left_alone(tmp_path):
    state = {"w": np.arange(3.0)}
    store = checkpoint.Store(tmp_path / "population", print)
    store.save(1, state, final=False)
    path = facts_of(tmp_path / "population" / "1")
    facts = json.loads(path.read_text())
    del facts["seal"]
    path.write_text(json.dumps(facts))
    with pytest.raises(aejax.InputError, match="an earlier aejax"):
        store.restore(lambda meta: state)
    store.close()
    assert (tmp_path / "population" / "1" / "state").is_dir()
