"""Exports of a user's own objective: nothing of it runs but what its user allows."""

import json
import pathlib
import warnings

import numpy as np
import pytest

import aejax
from aejax import objectives
from experiments import export

PLAIN = pathlib.Path(objectives.__file__).with_name("ae.py")
SECRET = "home-of-a-user"


@pytest.fixture(scope="module")
def place(tmp_path_factory, digits):
    """A folder with a data set and an objective, named by their full paths."""
    place = tmp_path_factory.mktemp("secret") / SECRET
    place.mkdir()
    (place / "mine.py").write_text(PLAIN.read_text())
    x = digits.train.x[:200, ..., 0] / np.float32(digits.scale)
    np.savez(place / "pixels.npz", x=x.reshape(200, -1))
    return place


@pytest.fixture(scope="module")
def model(place):
    base = aejax.Config(dataset=str(place / "pixels.npz"), hidden=(8,), epochs=1)
    base = base.replace(objective=str(place / "mine.py"), eval_every=1, batch_size=64)
    command = f"python -m experiments.sweep {base.objective} --out={place}/runs"
    out = place / "runs" / "one"
    return aejax.sweep(base, {}, out=out, command=command).model()


@pytest.fixture
def folder(model, place, tmp_path, monkeypatch):
    """An export, and the current folder that of the objective."""
    monkeypatch.chdir(place)
    return model.export(tmp_path / "out")


def refused(call, message):
    with pytest.raises(aejax.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_file_runs_where_it_is_allowed(folder, model, capsys, tmp_path):
    message = r"runs code that is not aejax's: mine.py; .*load\(DIR, own_code=True\)"
    refused(lambda: aejax.load(folder), message)
    text = (folder / "README.md").read_text()
    assert 'load(".", own_code=True)' in text and "depends on `mine.py`" in text
    after = aejax.load(folder, own_code=True)
    x = np.zeros((2, 64), np.float32)
    np.testing.assert_allclose(after.encode(x), model.encode(x), rtol=1e-6, atol=1e-6)
    again = after.export(tmp_path / "again")
    aejax.load(again, own_code=True)
    assert export.main([str(folder), "--out", str(tmp_path / "third")]) == 2
    assert "own_code=True" in capsys.readouterr().err


def test_code_of_a_stranger_does_not_run(run, tmp_path, monkeypatch):
    folder = run.export(tmp_path / "out", objective="ae", latent_dim=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()")
    for kind in ("objective", "network"):
        facts = json.loads((folder / "config.json").read_text()) | {kind: "./evil.py"}
        (folder / "config.json").write_text(json.dumps(facts))
        entry = json.loads((folder / "model.json").read_text())
        digests = aejax.exports.folder.digests(folder)
        entry["files"] = {n: digests[n] for n in entry["files"]}
        (folder / "model.json").write_text(json.dumps(entry))
        refused(lambda: aejax.load(folder), "./evil.py")
        refused(lambda: aejax.load(folder, own_code=True), "needs the file './evil.py'")
    assert not (tmp_path / "ran").exists()


def test_a_file_is_the_one_it_was(folder, model, place, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = "needs the file 'mine.py' it was trained with as its objective; "
    missing = words + ".*does not exist"
    refused(lambda: aejax.load(folder, own_code=True), missing)
    pathlib.Path("mine.py").write_text(PLAIN.read_text() + "# changed")
    refused(lambda: aejax.load(folder, own_code=True), words + ".*is another one")
    with monkeypatch.context() as patch:
        patch.setattr(aejax.exports.code, "_digest", lambda kind, name: "0" * 64)
        message = "mine.py' is not the one that this model was trained with"
        refused(lambda: model.export(tmp_path / "new"), message)


def test_where_files_lie_is_not_published(folder):
    for path in folder.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path.name
    config = json.loads((folder / "config.json").read_text())
    assert (config["dataset"], config["objective"]) == ("pixels.npz", "mine.py")
    facts = json.loads((folder / "model.json").read_text())
    command = "python -m experiments.sweep mine.py --out=runs"
    assert facts["origin"]["command"] == command
    assert f"`{command}`" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("word", "after"),
    [
        ("runs/rates", "runs/rates"),
        ("a=1,2", "a=1,2"),
        ("/a/b/c.csv@drop=x", "c.csv@drop=x"),
        ("dataset=/a/b.npz,~/c.npz", "dataset=b.npz,c.npz"),
        ("../up/mine.py", "mine.py"),
        ("sqlite:////home/me/x.db", "sqlite://x.db"),
        ("https://host/x", "https://host/x"),
    ],
)
def test_words_lose_their_places(word, after):
    assert aejax.exports.public._without_place(word) == after


def test_who_trains_is_not_warned(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aejax.load(folder, own_code=True)
