"""music: notes that are right, and the files of what is drawn."""

import io
import json

import numpy as np
import pytest

import aejax
from aejax import config, data, tasks
from aejax.data import midi
from aejax.tasks import music as tasks_music

TASK = tasks.TASKS["music"]


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("AEJAX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="module")
def run():
    (sweep,) = TASK.sweeps(data.load("tunes"))
    values = dict(sweep.values) | {"hidden": (8,), "epochs": 1, "eval_every": 1}
    values["batch_size"] = 200
    fields = {n: v for n, v in values.items() if n in config.FIELDS}
    hparams = {n: v for n, v in values.items() if n not in fields}
    base = aejax.Config(dataset="tunes", hparams=hparams, **fields)
    assert sweep.axes["segments"] == (0, 4)  # compiling both would take twice as long
    return aejax.sweep(base, dict(sweep.axes) | {"segments": (4,)})


def test_notes_are_counted_on_test_pieces(run, forgetful, drawn):
    tunes, models = run.dataset(), run.models()
    small = tunes._replace(test=data.Split(tunes.test.x[:40]))
    result = TASK.apply(models, small, pieces=3)
    table = {row["system"]: row for row in result.metrics}
    names = ["beta_vae"]
    baselines = {"most frequent note", "nearest training piece", "step before"}
    assert set(table) == {*names, *baselines}
    other = TASK.apply(models, forgetful(small), pieces=3).metrics
    for row in other:
        name = row["system"]
        assert (row == table[name]) == (name in names), name
    # The decoder alone: what training calls mse, the share of wrong ones.
    (want,) = [row["error_rate"] for row in run.rows if row["split"] == "test"]
    (*_, got, _) = TASK.apply(models, tunes, pieces=1).metrics
    assert got["system"] == "beta_vae"
    np.testing.assert_allclose(got["sampled [% of notes]"], 100 * (1 - want), rtol=1e-5)
    # With a segment's first step nothing has been shown to the decoder yet.
    x = small.test.x / np.float32(tunes.scale)
    forced, alone = tasks_music.teacher_forced(models[0], x), models[0].reconstruct(x)
    np.testing.assert_array_equal(forced[:, ::8], alone[:, ::8])
    assert (forced != alone).any() and (forced == x).mean() > (alone == x).mean()
    x = small.test.x.astype(int)
    right = [(x[:, 1:] == x[:, :-1]).mean((1, 2)).mean() * 31 / 32]
    before = table["step before"]["teacher-forced [% of notes]"] / 100
    assert 0 <= before - right[0] < 1 / 32
    assert "sampled [% of notes]" not in table["step before"]
    same = (x[:, None] == tunes.train.x[None]).mean((2, 3)).max(1).mean()
    np.testing.assert_allclose(
        table["nearest training piece"]["sampled [% of notes]"], 100 * same, rtol=1e-5
    )
    assert drawn(result)


def test_files_are_the_pieces_that_are_shown(run):
    tunes, models = run.dataset(), run.models()
    result = TASK.apply(models, tunes, pieces=2)
    names = ("original", "nearest-training-piece", "beta_vae")
    want = {f"music/piece-{i}-{n}.mid" for i in (1, 2) for n in names}
    want |= {f"music/sample-{i}-beta_vae.mid" for i in (1, 2)}
    want |= {f"music/interpolation-{n}.mid" for n in ("steps-of-either", "beta_vae")}
    assert set(result.files) == want
    pitch = midi.pitches(tunes)
    read = {n: midi.read(io.BytesIO(content)) for n, content in result.files.items()}
    (model,) = models
    x = tunes.test.x[[125, 375]]
    for i in (0, 1):
        np.testing.assert_array_equal(
            read[f"music/piece-{i + 1}-original.mid"], pitch[x[i]]
        )
    ids = np.rint(model.reconstruct(x / np.float32(tunes.scale)) * tunes.scale)
    played = pitch[ids.astype(int)]
    between = read["music/interpolation-beta_vae.mid"]
    assert len(between) == 8 * 32
    for got, want in ((between[:32], played[0]), (between[-32:], played[1])):
        np.testing.assert_array_equal(np.sort(got), np.sort(want))


def test_other_data_and_other_pitches_are_refused(run, places, digits):
    with pytest.raises(config.InputError, match="takes music, and 'digits' is none"):
        TASK.sweeps(digits)
    path = places / "own.json"
    songs = np.random.default_rng(0).integers(40, 80, (4, 64, 4))
    path.write_text(json.dumps(songs.tolist()))
    with pytest.raises(config.InputError, match="pitches of 'tunes' and not those of"):
        TASK.apply(run.models(), data.load(str(path)))
